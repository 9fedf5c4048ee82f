// Package screen shows a run on a terminal while it runs: a tree of its tasks that
// is redrawn in place, below whatever was printed before.
//
//	dag.Event ── Model (model.go): what is known of the run, as a tree with counts
//	                │
//	             Model.View (view.go, row.go): pure, gives the lines for a width and height
//	                │
//	             painter (paint.go): replaces the lines that are on the terminal by others
//	                │
//	             Screen (screen.go): when to redraw; text above the tree; tails of logs (tail.go)
//
// It asks the terminal nothing, reads no key, hides no cursor and leaves no mode
// behind: after a kill -9 the terminal is as it was, with the last tree on it.
package screen
