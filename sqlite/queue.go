package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/wherry-ml/wherry/runner/queue"
)

var _ queue.Store = (*DB)(nil)

// UpdateAdmissions reads, decides and writes under the write lock; see
// queue.Store.
func (d *DB) UpdateAdmissions(ctx context.Context, backend string, decide func([]queue.Admission) queue.Change) error {
	err := d.update(ctx, false, func(t *tx) error {
		rows, err := admissions(t, backend)
		if err != nil {
			return err
		}
		change := decide(rows)
		if err := deleteAdmissions(t, backend, change.Delete); err != nil {
			return err
		}
		for i := range change.Put {
			if err := putAdmission(t, backend, &change.Put[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("update the queue of backend %q: %w", backend, err)
	}
	return nil
}

// DeleteAdmissions deletes those of pods that are there.
func (d *DB) DeleteAdmissions(ctx context.Context, backend string, pods []string) error {
	err := d.update(ctx, false, func(t *tx) error { return deleteAdmissions(t, backend, pods) })
	if err != nil {
		return fmt.Errorf("update the queue of backend %q: %w", backend, err)
	}
	return nil
}

func deleteAdmissions(t *tx, backend string, pods []string) error {
	for _, pod := range pods {
		if _, err := t.exec(`DELETE FROM admissions WHERE backend = ? AND pod = ?`, backend, pod); err != nil {
			return err
		}
	}
	return nil
}

// Admissions returns what waits for a backend and what was granted to it, in the
// order of arrival.
func (d *DB) Admissions(ctx context.Context, backend string) ([]queue.Admission, error) {
	var list []queue.Admission
	err := d.view(ctx, func(s *snapshot) (err error) {
		list, err = admissions(s, backend)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the queue of backend %q: %w", backend, err)
	}
	return list, nil
}

func admissions(q querier, backend string) ([]queue.Admission, error) {
	var list []queue.Admission
	err := each(q, func(rows *sql.Rows) error {
		var a queue.Admission
		var devices string
		var asked int64
		err := rows.Scan(&a.Seq, &a.Pod, &a.Run, &a.Owner, &a.Pods, &a.CPU, &a.Memory, &a.GPU, &a.Priority, &a.Granted, &devices, &asked)
		if err != nil {
			return err
		}
		a.Asked = moment(asked)
		if devices != "null" {
			err = decode(devices, &a.Devices)
		}
		list = append(list, a)
		return err
	}, `SELECT seq, pod, run, owner, pods, cpu, memory, gpu, priority, granted, devices, asked
		FROM admissions WHERE backend = ? ORDER BY seq`, backend)
	return list, err
}

func putAdmission(t *tx, backend string, a *queue.Admission) error {
	devices, err := encode(a.Devices)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO admissions (backend, pod, run, owner, pods, cpu, memory, gpu, priority, granted, devices, asked)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
		ON CONFLICT DO UPDATE SET run = ?3, owner = ?4, pods = ?5, cpu = ?6, memory = ?7, gpu = ?8, priority = ?9,
			granted = ?10, devices = ?11, asked = ?12`,
		backend, a.Pod, a.Run, a.Owner, a.Pods, a.CPU, a.Memory, a.GPU, a.Priority, a.Granted, devices, stamp(a.Asked))
	return err
}
