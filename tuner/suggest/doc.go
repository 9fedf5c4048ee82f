// Package suggest proposes the parameters of the next trial of an experiment.
//
// Every algorithm is a function of a space, the history of trials (running ones
// included) and a seed: it keeps nothing between two calls that these do not say, so
// that an experiment goes on after a crash as if there had been none. What is costly
// to compute again may be remembered, never what decides.
//
// Losses are what an experiment minimizes: the caller negates what is to be maximized.
package suggest
