package admin

import "net/http"

// dashboard adds the first page.
func (s *server) dashboard() { s.page("GET /{$}", "", s.showDashboard) }

type dashboardPage struct{ frame }

func (s *server) showDashboard(v *visit) error {
	return v.render(http.StatusOK, "dashboard.html", &dashboardPage{v.newFrame("Dashboard", "dashboard")})
}
