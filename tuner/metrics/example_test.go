package metrics_test

import (
	"fmt"
	"time"

	"github.com/wherry-ml/wherry/tuner/metrics"
)

// A trial that prints its accuracy, in an experiment that asks for another name too.
func Example() {
	var summary metrics.Summary
	names := []string{"accuracy", "val-loss"}
	c := metrics.NewCollector(names, func(batch []metrics.Observation) {
		for _, o := range batch {
			summary.Add(o)
		}
	})
	log, err := metrics.NewText(c, metrics.TextOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	log.Feed([]byte("epoch 1: accuracy=0.8 val_loss=0.7\nepoch 2: accuracy=0.9 val_"), time.Now())
	log.Feed([]byte("loss=0.6\nepoch 3: accuracy=0.85 val_loss=0.5"), time.Now())
	log.End()

	m, _ := summary.Metric("accuracy")
	best, _ := m.Pick(metrics.DefaultStrategy("maximize"))
	fmt.Println("accuracy", metrics.Format(best), "of", m.Count, "and at last", metrics.Format(m.Latest))
	for _, name := range c.Missing() {
		e := c.Unavailable(name)
		fmt.Printf("%v\ntry: %s\n", e, e.Hint())
	}
	// Output:
	// accuracy 0.9 of 3 and at last 0.85
	// metric "val-loss" never came; seen instead: val_loss
	// try: additionalMetricNames: [val_loss]
}
