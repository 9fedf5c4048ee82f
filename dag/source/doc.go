// Package source reads the files that people write: YAML or JSON, strictly, in
// bounded time and memory, and with the position of everything, so that each
// error can show the line it is about.
//
//	path ── Read ── File ── Documents ── *yaml.Node ── File.Decode ── typed struct
//	                  └──── Errorf: flow.yaml:31:14: …, the line, what to do
//
// ReadPackage is Read for what may be packed: .zip, .tar.gz, .gz, told by content.
package source
