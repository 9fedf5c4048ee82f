package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/wherry-ml/wherry/dag"
)

func newDownCmd(g *globals) *cobra.Command {
	timeout := 30 * time.Second
	cmd := &cobra.Command{
		Use:   "down",
		Short: "End wherry up; what runs goes on as it is",
		Long: `Down ends the wherry up of this home and waits for its end. It cancels no run: the steps
that run go on, and the next wherry up, or wherry resume, goes on with them.`,
		Example: `  wherry down`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return g.down(cmd.Context(), timeout) },
	}
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "give up waiting after this `TIME`")
	return cmd
}

func (g *globals) down(ctx context.Context, timeout time.Duration) error {
	if !g.isUp() {
		g.note("nothing is up in " + g.Home)
		return nil
	}
	pid, err := ownerOf(g.upOwnerPath())
	if err != nil {
		return fmt.Errorf("find the process that is up in %s: %w", g.Home, err)
	}
	if pid > 0 {
		if err := unix.Kill(pid, unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("end wherry up, process %d: %w", pid, err)
		}
	}
	for until := time.Now().Add(timeout); g.isUp(); {
		if time.Now().After(until) {
			return &workError{state: dag.Failed, msg: fmt.Sprintf("wherry up, process %d, has not ended in %s", pid, timeout),
				mend: fmt.Sprintf("kill -9 %d; nothing is lost", pid)}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
	g.note(fmt.Sprintf("wherry up, process %d, has ended", pid))
	g.nameInterrupted(ctx)
	return nil
}
