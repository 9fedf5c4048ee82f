// Package cel evaluates the expressions of KFP pipelines: the condition of a
// trigger policy, and the selector that takes a part of a value. Both are CEL
// with one function more, parseJson(string), and see what KFP's backend lets
// them see. Evaluation is pure and its work is limited.
//
//	text ── CheckCondition, CheckSelector ── *SyntaxError with its place (front end)
//	text + values ── Evaluator.Condition, Evaluator.Select ── a value or a short error (scheduler)
//
// Numbers are doubles, as in the backend: 7 / 2 is 3.5 where both come from a
// pipeline. A whole number that no double holds stays an integer, so that
// passing it on doesn't change it. Results that are whole become int64 again.
package cel
