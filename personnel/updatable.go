package personnel

// UpdatableKinds are the kinds whose resources automations may update, in the order of the catalogue.
func UpdatableKinds() []*Kind {
	var list []*Kind
	for _, k := range kinds {
		if k.Path != "" && len(k.Updatable()) > 0 {
			list = append(list, k)
		}
	}
	return list
}

// UpdatableNames returns the names of UpdatableKinds.
func UpdatableNames() []string {
	var names []string
	for _, k := range UpdatableKinds() {
		names = append(names, k.Name)
	}
	return names
}

// Updatable returns the fields that automations may write. Never among them are those that the API does
// not write, keys, uploads, and what decides who somebody is.
func (k *Kind) Updatable() []*Field {
	if k.Listed {
		return nil
	}
	var list []*Field
	for i := range k.Fields {
		f := &k.Fields[i]
		isKey := f.Name == "id" || f.Cascade || f.Name == "model_type" || f.Name == "model_id"
		isTime := f.Name == "created_at" || f.Name == "updated_at"
		if !f.ReadOnly && !f.Hidden && !f.Guarded && !isKey && !isTime && !f.IsFile() {
			list = append(list, f)
		}
	}
	return list
}
