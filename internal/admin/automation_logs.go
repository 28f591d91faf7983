package admin

// automationLogs adds the log of automations.
func (s *server) automationLogs() {}
