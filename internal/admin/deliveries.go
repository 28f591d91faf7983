package admin

// deliveries adds the log of webhooks.
func (s *server) deliveries() {}
