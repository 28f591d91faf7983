package admin

// kinds adds the pages of each kind of the catalogue.
func (s *server) kinds() {}
