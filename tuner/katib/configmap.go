package katib

import (
	"fmt"

	"github.com/wherry-ml/wherry/dag/source"
)

// ConfigMaps looks trial templates up in the ConfigMap documents of files.
func ConfigMaps(files ...*source.File) func(name, path string) (*source.File, error) {
	return func(name, path string) (*source.File, error) {
		for _, f := range files {
			docs, err := f.Documents()
			if err != nil {
				return nil, err
			}
			for _, doc := range docs {
				meta := child(doc, "metadata", "name")
				if field(doc, "kind") != "ConfigMap" || meta == nil || meta.Value != name {
					continue
				}
				data := child(doc, "data", path)
				if data == nil {
					return nil, fmt.Errorf("config map %q has no %q", name, path)
				}
				return source.Of(f.Name+", "+path, []byte(data.Value))
			}
		}
		return nil, nil
	}
}
