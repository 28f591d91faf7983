package admin

// webhooks adds the pages of webhooks.
func (s *server) webhooks() {}
