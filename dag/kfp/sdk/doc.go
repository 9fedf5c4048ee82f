// Package sdk compiles a Python file with the person's own kfp, in a Python process
// of its own. It translates nothing and runs no step.
//
//	pipeline.py ── Compile ── interpreters (which Python) ── compile.py ── IR YAML
//	                                  │                          └──── explain: pipeline.py:12:5: …
//	                                  └──── cached: a virtualenv in WHERRY_HOME, where nothing here has kfp
//
// The process works in the person's folder, as `python pipeline.py` would: paths in
// the file mean the same. It has the file's folder on its path, imports the file
// without running `__main__`, and packages that the import compiles are thrown away.
// Compiles are not cached: what a file imports can't be known without running it.
package sdk
