// Package cluster starts and ends the Guideway nodes that the suite is run against: real processes of the real binary,
// by `guideway demo`.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

const (
	// readyWithin bounds the start of the nodes; it takes a second on an idle machine.
	readyWithin = time.Minute
	// endWithin is what `guideway demo` promises after SIGTERM, and some more.
	endWithin = 15 * time.Second
	pollEvery = 20 * time.Millisecond
)

// Options say which binary to start and where.
type Options struct {
	// Binary is the path of `guideway`.
	Binary string
	// BaseAddress is the first node's address; the others have the next ones.
	BaseAddress netip.Addr
	// Nodes is how many there are.
	Nodes int
	// Folder takes the nodes' data and the output of the processes.
	Folder string
}

// Node is one Guideway process.
type Node struct {
	Name string `json:"name"`
	// Address is where it serves listeners.
	Address netip.Addr `json:"address"`
	// API is the full URL of its REST API.
	API string `json:"api"`
}

// Cluster is a set of nodes that runs until Stop.
type Cluster struct {
	// Kubeconfig is the path of a file that reaches the nodes.
	Kubeconfig string `json:"kubeconfig"`
	Nodes      []Node `json:"nodes"`

	process *exec.Cmd
	ended   chan error
}

// Start runs the nodes and returns once they answer.
func Start(ctx context.Context, options Options) (*Cluster, error) {
	if err := os.MkdirAll(options.Folder, 0o755); err != nil {
		return nil, err
	}
	ready := filepath.Join(options.Folder, "ready.json")
	output, err := os.Create(filepath.Join(options.Folder, "demo.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }()
	process := exec.Command(options.Binary, "demo", "--no-endpoints",
		"--nodes", strconv.Itoa(options.Nodes),
		"--base-address", options.BaseAddress.String(),
		"--data-dir", filepath.Join(options.Folder, "data"),
		"--ready-file", ready)
	process.Stdout, process.Stderr = output, output
	cluster := &Cluster{process: process, ended: make(chan error, 1)}
	started := make(chan error)
	go cluster.live(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", options.Binary, err)
	}
	if err := cluster.await(ctx, ready); err != nil {
		return nil, errors.Join(fmt.Errorf("%w; see %s", err, output.Name()), cluster.Stop())
	}
	return cluster, nil
}

// live is the process's life. Should the harness be killed, the kernel ends the demo, which ends its nodes; the kernel
// takes the end of the thread that started it for that, so this goroutine keeps its thread.
func (c *Cluster) live(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	err := c.process.Start()
	started <- err
	if err == nil {
		c.ended <- c.process.Wait()
	}
}

// await waits for the file that says where the nodes are.
func (c *Cluster) await(ctx context.Context, ready string) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if content, err := os.ReadFile(ready); err == nil && json.Unmarshal(content, c) == nil && len(c.Nodes) > 0 {
			return nil
		}
		select {
		case err := <-c.ended:
			c.ended <- err
			return fmt.Errorf("the nodes ended before they were ready: %v", err)
		case <-ctx.Done():
			return fmt.Errorf("the nodes were not ready within %s", readyWithin)
		case <-tick.C:
		}
	}
}

// Stop ends the nodes by the demo's process id and waits until they are gone.
func (c *Cluster) Stop() error {
	_ = c.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.ended:
		return nil
	case <-time.After(endWithin):
		_ = c.process.Process.Kill()
		<-c.ended
		return fmt.Errorf("the nodes did not end within %s of SIGTERM", endWithin)
	}
}
