package main

import "context"

type demoCommand struct{}

func (c *demoCommand) Run(ctx context.Context, out *output) error { return nil }
