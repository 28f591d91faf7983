package admin

// roster adds the roster.
func (s *server) roster() {}
