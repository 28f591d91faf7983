package admin

// automations adds the pages of automations.
func (s *server) automations() {}
