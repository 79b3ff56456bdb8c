// Command echo serves the pods of one Deployment.
//
// It reads the pods as one line of JSON from its standard input, prints "ready" once every port is bound, and ends when
// its standard input is closed: so it never outlives whoever started it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"

	"guideway.dev/conformance/internal/echo"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

// run serves until input ends, or until a port cannot be served.
func run(input io.Reader, output io.Writer) error {
	reader := bufio.NewReader(input)
	line, err := reader.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("reading the pods: %w", err)
	}
	var pods []echo.Pod
	if err := json.Unmarshal(line, &pods); err != nil {
		return fmt.Errorf("reading the pods: %w", err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var bound sync.WaitGroup
	for _, pod := range pods {
		bound.Add(1)
		go func() { cancel(pod.Serve(ctx, bound.Done)) }()
	}
	go func() {
		bound.Wait()
		_, _ = fmt.Fprintln(output, "ready")
	}()
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, reader)
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
