package personnel

import (
	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/value"
)

// Read returns the columns that a request gives, as stored and by name. What is wrong goes to
// invalid, under the place at which the request gives them. Others are left alone.
func (p *Pivot) Read(sent *value.Array, at string, invalid *bugle.InvalidError) map[string]any {
	read := map[string]any{}
	for i := range p.Fields {
		f := &p.Fields[i]
		v, given := sent.Get(f.Name)
		switch {
		case !given:
			continue
		case v == nil && !f.Null:
			v = f.Default
		}
		stored, wanted := f.store(v)
		if wanted != "" {
			invalid.Add(at+"."+f.Name, "The %s field %s, not %s.", f.Name, wanted, value.Describe(v))
			continue
		}
		read[f.Name] = stored
	}
	return read
}
