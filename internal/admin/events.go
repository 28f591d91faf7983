package admin

// events adds the log of events.
func (s *server) events() {}
