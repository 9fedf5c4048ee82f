package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/wherry-ml/wherry/runner"
)

// message is one of a stream of JSON values in which the engine tells how a
// pull or a build goes on.
type message struct {
	ID             string          `json:"id"`
	Status         string          `json:"status"`
	Stream         string          `json:"stream"`
	Error          string          `json:"error"`
	Aux            json.RawMessage `json:"aux"`
	ProgressDetail struct{ Current, Total int64 }
}

// decodeMessages calls each for every message, and ends with the first error,
// its own or the engine's.
func decodeMessages(r io.Reader, each func(message) error) error {
	dec := json.NewDecoder(r)
	for {
		var m message
		if err := dec.Decode(&m); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if m.Error != "" {
			return errors.New(m.Error)
		}
		if err := each(m); err != nil {
			return err
		}
	}
}

// pullMeter adds up the layers of a pull.
type pullMeter struct {
	image, registry string
	report          func(runner.Progress)

	mu     sync.Mutex
	layers map[string]struct{ done, total int64 }
	last   time.Time
	sent   time.Time
	status string
}

func newPullMeter(image, registry string, report func(runner.Progress)) *pullMeter {
	if report == nil {
		report = func(runner.Progress) {}
	}
	return &pullMeter{image: image, registry: registry, report: report, last: time.Now(),
		layers: map[string]struct{ done, total int64 }{}}
}

func (m *pullMeter) read(r io.Reader) error {
	return decodeMessages(r, func(msg message) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.last, m.status = time.Now(), msg.Status
		l := m.layers[msg.ID]
		switch msg.Status {
		case "Downloading":
			l.done, l.total = msg.ProgressDetail.Current, max(l.total, msg.ProgressDetail.Total)
			m.layers[msg.ID] = l
		case "Download complete", "Pull complete":
			l.done = l.total
			m.layers[msg.ID] = l
		}
		if time.Since(m.sent) >= 100*time.Millisecond {
			m.send(msg.Status)
		}
		return nil
	})
}

func (m *pullMeter) send(status string) {
	p := runner.Progress{Image: m.image, Status: status}
	for _, l := range m.layers {
		p.Done, p.Total = p.Done+l.done, p.Total+l.total
	}
	m.sent = time.Now()
	m.report(p)
}

// watchSilence says what a silent pull awaits, and gives it up in the end,
// until the function that it returns is called.
func (m *pullMeter) watchSilence(s silence, giveUp context.CancelCauseFunc) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(s.say)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			m.mu.Lock()
			silent := time.Since(m.last)
			if silent >= s.say && m.status != "Extracting" {
				m.send(fmt.Sprintf("waiting for %s for %.0f s", m.registry, silent.Seconds()))
			}
			if silent > s.giveUp && m.status != "Extracting" {
				giveUp(fmt.Errorf("%s has not answered for %.0f s", m.registry, silent.Seconds()))
			}
			m.mu.Unlock()
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}
