package twig

import "github.com/buglehq/bugle/internal/engine"

// ErrStopped is what Render returns for a template that comes to {% stop %}, a tag that Twig does not
// have: there is to be no text at all, which is not the same as an empty one.
var ErrStopped error = &engine.Error{Message: "the template stopped by {% stop %}"}

// stopped is {% stop %}.
type stopped struct{}

func (stopped) render(*run) error { return ErrStopped }

func (p *parser) stop(token) (statement, error) { return stopped{}, p.tagClose() }
