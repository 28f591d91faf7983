package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/buglehq/bugle"
	"github.com/buglehq/bugle/internal/delivery"
	"github.com/buglehq/bugle/internal/store"
	"github.com/buglehq/bugle/personnel"
	"github.com/buglehq/bugle/value"
)

// finishedFigures are of a drain beside a long log.
type finishedFigures struct {
	Finished            int     `json:"finished"`
	FillSeconds         float64 `json:"fill_seconds"`
	LimitBefore         float64 `json:"limit_before_per_second"`
	LimitAfter          float64 `json:"limit_after_per_second"`
	DeliveriesPerSecond float64 `json:"deliveries_per_second"`
	Ratio               float64 `json:"ratio"`       // to the drain with none, in the same run, each as its share of the limit: minutes lie between them
	LimitRatio          float64 `json:"limit_ratio"` // of the limit, as figures.Ratio
}

// finished puts finished deliveries in the tables and drains as many as before.
func (b *bench) finished(ctx context.Context, newEngine func() *delivery.Engine, none *figures) (*finishedFigures, error) {
	f := &finishedFigures{Finished: b.Finished}
	bar := newBar(b.stderr, b.Finished, "finished")
	began := time.Now()
	if err := b.db.FillFinished(ctx, 1, b.Finished, func(n int) { bar.Set(n) }); err != nil {
		return nil, err
	}
	bar.Finish()
	f.FillSeconds = time.Since(began).Seconds()
	if _, err := b.fill(ctx, b.db, none.Deliveries); err != nil {
		return nil, err
	}
	var err error
	if f.LimitBefore, f.DeliveriesPerSecond, f.LimitAfter, err = b.drain(ctx, newEngine, none.Deliveries); err != nil {
		return nil, err
	}
	f.LimitRatio = f.DeliveriesPerSecond / ((f.LimitBefore + f.LimitAfter) / 2)
	f.Ratio = f.LimitRatio / none.Ratio
	return f, nil
}

// diskFigures say what an event takes in the database.
type diskFigures struct {
	Events        int     `json:"events"`
	BytesPerEvent float64 `json:"bytes_per_event"` // with its delivery and attempt, and the indexes of all
}

// disk counts the bytes of events with a delivery and an attempt each.
func (b *bench) disk(ctx context.Context) (*diskFigures, error) {
	drop, err := b.addFan(ctx, 1)
	if err != nil {
		return nil, err
	}
	before, err := b.db.Stored(ctx)
	if err != nil {
		return nil, err
	}
	b.arrived.Store(0)
	if err := b.changeRecord(ctx, b.Disk, 16); err != nil {
		return nil, err
	}
	if err := b.awaitArrived(ctx, b.Disk); err != nil {
		return nil, err
	}
	select {
	case <-time.After(time.Second): // until the last results are written
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	after, err := b.db.Stored(ctx)
	if err != nil {
		return nil, err
	}
	return &diskFigures{b.Disk, float64(after-before) / float64(b.Disk)}, drop()
}

// fanoutFigures are of changes that many webhooks get.
type fanoutFigures struct {
	Webhooks            int     `json:"webhooks"`
	P50                 float64 `json:"last_arrival_p50_ms"` // from the beginning of a change to the last of its arrivals, one change at a time
	P99                 float64 `json:"last_arrival_p99_ms"`
	ChangesPerSecond    float64 `json:"changes_per_second"`    // of 16 writers, while deliveries are sent
	DeliveriesPerSecond float64 `json:"deliveries_per_second"` // from the first change to the last arrival
	LimitRatio          float64 `json:"limit_ratio"`           // of the limit that was measured after it
}

// fanout makes changes that many webhooks get: one after the other, then many at a time.
func (b *bench) fanout(ctx context.Context) (*fanoutFigures, error) {
	drop, err := b.addFan(ctx, b.Fanout)
	if err != nil {
		return nil, err
	}
	f := &fanoutFigures{Webhooks: b.Fanout}
	n := min(max(50000/b.Fanout, 20), 1000)
	took := make([]float64, 0, n)
	bar := newBar(b.stderr, n, "fan out")
	for range n {
		b.arrived.Store(0)
		began := time.Now().UnixNano()
		if err := b.changeRecord(ctx, 1, 1); err != nil {
			return nil, err
		}
		if err := b.awaitArrived(ctx, b.Fanout); err != nil {
			return nil, err
		}
		b.mu.Lock()
		took = append(took, float64(b.lastAt-began)/1e6)
		b.mu.Unlock()
		bar.Add(1)
	}
	bar.Finish()
	slices.Sort(took)
	f.P50, f.P99 = took[n/2], took[n*99/100]
	b.arrived.Store(0)
	began := time.Now()
	if err := b.changeRecord(ctx, n, 16); err != nil {
		return nil, err
	}
	f.ChangesPerSecond = float64(n) / time.Since(began).Seconds()
	if err := b.awaitArrived(ctx, n*b.Fanout); err != nil {
		return nil, err
	}
	f.DeliveriesPerSecond = float64(n*b.Fanout) / time.Since(began).Seconds()
	limit, err := b.limit(ctx, b.envelope)
	if err != nil {
		return nil, err
	}
	f.LimitRatio = f.DeliveriesPerSecond / limit
	return f, drop()
}

// addFan makes webhooks for changes of a record, and a record if there is none. It returns what deletes them.
func (b *bench) addFan(ctx context.Context, n int) (drop func() error, err error) {
	var ids []int64
	err = b.db.Update(ctx, func(tx *store.Tx) error {
		ids = ids[:0]
		if b.record == 0 {
			record, err := tx.Create(b.actor(), &personnel.ServiceRecord, value.Map("user_id", int64(1), "text", "Joined."))
			if err != nil {
				return err
			}
			b.record = record.ID()
		}
		for range n {
			id, err := b.addWebhook(tx, "fan", "/calm/fan", "servicerecord.updated", bugle.Active)
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return nil
	})
	return func() error {
		return b.db.Update(ctx, func(tx *store.Tx) error {
			for _, id := range ids {
				if err := tx.DeleteWebhook(1, id); err != nil {
					return err
				}
			}
			return nil
		})
	}, err
}

func (b *bench) changeRecord(ctx context.Context, n, workers int) error {
	return each(ctx, n, workers, func(ctx context.Context, _ int) error {
		return b.db.Update(ctx, func(tx *store.Tx) error {
			_, err := tx.Update(b.actor(), &personnel.ServiceRecord, b.record, value.Map("text", "Note "+strconv.FormatInt(b.notes.Add(1), 10)))
			return err
		})
	})
}

// awaitArrived waits until n deliveries have arrived, as long as some do.
func (b *bench) awaitArrived(ctx context.Context, n int) error {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	seen, give := int64(0), time.Now().Add(30*time.Second)
	for {
		arrived := b.arrived.Load()
		if arrived >= int64(n) {
			return nil
		}
		if arrived > seen {
			seen, give = arrived, time.Now().Add(30*time.Second)
		}
		if time.Now().After(give) {
			return fmt.Errorf("only %d of %d deliveries arrived, and none within 30 s", arrived, n)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// printMore prints the measures that are asked for by options of their own.
func (f *figures) printMore(w io.Writer) {
	if x := f.Finished; x != nil {
		fmt.Fprintf(w, "beside %d finished: %.0f/s = %.2f of the limit, which is %.2f of the share with none (filled in %.0f s)\n", x.Finished, x.DeliveriesPerSecond, x.LimitRatio, x.Ratio, x.FillSeconds)
	}
	if x := f.Disk; x != nil {
		fmt.Fprintf(w, "on disk: %.0f bytes an event with its delivery and attempt (%d events)\n", x.BytesPerEvent, x.Events)
	}
	if x := f.Fanout; x != nil {
		fmt.Fprintf(w, "one change to %d webhooks: %.1f ms p50, %.1f ms p99 to the last arrival; %.0f changes/s, %.0f deliveries/s = %.2f of the limit\n",
			x.Webhooks, x.P50, x.P99, x.ChangesPerSecond, x.DeliveriesPerSecond, x.LimitRatio)
	}
	if x := f.Nodes; x != nil {
		fmt.Fprintf(w, "%d nodes: %.0f/s = %.2f of the limit, %d repeats\n", len(x.Nodes), x.DeliveriesPerSecond, x.LimitRatio, x.Repeats)
		for _, n := range x.Nodes {
			fmt.Fprintf(w, "  %s: %.2f of the deliveries, %.0f MB idle, %.0f MB at most\n", n.Name, n.Share, n.Idle, n.Peak)
		}
	}
	if x := f.Backlog; x != nil {
		fmt.Fprintf(w, "start with %d waiting: first arrival after %.0f ms, %.0f/s = %.2f of the limit, %.0f MB at most\n", x.Waiting, x.FirstArrival, x.DeliveriesPerSecond, x.LimitRatio, x.Peak)
	}
	if x := f.Idle; x != nil {
		fmt.Fprintf(w, "idle: %.0f MB, %.2f %% of a core\n", x.Memory, 100*x.Cores)
	}
}
