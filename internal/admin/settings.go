package admin

// settings adds the pages of settings.
func (s *server) settings() {}
