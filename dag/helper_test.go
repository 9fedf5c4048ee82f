package dag

import "github.com/wherry-ml/wherry/dag/source"

// testFile is a file for pipelines that were made by a test.
func testFile() *source.File { return &source.File{Name: "test.yaml"} }
