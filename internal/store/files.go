package store

import (
	"fmt"
	"strings"

	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// dropFile notes that nothing refers to an uploaded file any more.
func (tx *Tx) dropFile(path string) { tx.dropped = append(tx.dropped, path) }

// takeFiles notes the uploads that a resource took from what was sent.
func (tx *Tx) takeFiles(sent *value.Array) {
	for _, v := range sent.All() {
		if u, ok := v.(*personnel.Upload); ok && u.Taken {
			tx.taken = append(tx.taken, u)
		}
	}
}

// dropFiles drops the files of a resource that it no longer has now, or all of them if now is nil.
func (c change) dropFiles(old, now *personnel.Resource) error {
	for i := range old.Kind.Fields {
		path, _ := old.Values[i].(string)
		if old.Kind.Fields[i].IsFile() && path != "" && (now == nil || now.Values[i] != path) {
			c.tx.dropFile(path)
		}
	}
	// Only a field for files can be believed: in any other the text may name somebody else's.
	paths := map[string]string{}
	own := fmt.Sprintf("%d/", c.a.OrganizationID)
	for key, v := range old.Custom.All() {
		path, _ := v.(string)
		if !strings.HasPrefix(path, own) || old.Kind.Field(key.String()) != nil {
			continue
		}
		if now != nil {
			if v, _ := now.Custom.Get(key.String()); v == path {
				continue
			}
		}
		paths[key.String()] = path
	}
	if len(paths) == 0 {
		return nil
	}
	definitions, err := c.customFields(old)
	if err != nil {
		return err
	}
	for _, d := range definitions {
		if path := paths[d.Text("key")]; path != "" && d.Text("type") == "file" {
			c.tx.dropFile(path)
		}
	}
	return nil
}
