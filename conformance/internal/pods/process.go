package pods

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"guideway.dev/conformance/internal/echo"
)

const (
	// readyWithin bounds the start of an echo process, which takes milliseconds.
	readyWithin = 30 * time.Second
	// endWithin bounds its end once its standard input is closed.
	endWithin = 5 * time.Second
)

// process is one echo process. It ends when its standard input is closed, which the kernel does should the harness die.
type process struct {
	command *exec.Cmd
	input   io.Closer
	ended   chan struct{}
}

// run starts the echo command for some pods and returns once it has bound all their ports.
func run(binary string, pods []echo.Pod) (*process, error) {
	description, err := json.Marshal(pods)
	if err != nil {
		return nil, err
	}
	command := exec.Command(binary)
	command.Stderr = os.Stderr
	input, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	started := &process{command: command, input: input, ended: make(chan struct{})}
	ready := make(chan error, 1)
	go func() {
		defer close(started.ended)
		line, err := bufio.NewReader(output).ReadString('\n')
		if err == nil && line != "ready\n" {
			err = fmt.Errorf("it said %q instead of being ready", line)
		}
		ready <- err
		_ = command.Wait()
	}()
	if _, err := input.Write(append(description, '\n')); err != nil {
		started.stop()
		return nil, err
	}
	select {
	case err = <-ready:
	case <-time.After(readyWithin):
		err = fmt.Errorf("it was not ready within %s", readyWithin)
	}
	if err != nil {
		started.stop()
		return nil, fmt.Errorf("%s: %w", binary, err)
	}
	return started, nil
}

// stop closes the process's input and waits until it has ended.
func (p *process) stop() {
	_ = p.input.Close()
	select {
	case <-p.ended:
	case <-time.After(endWithin):
		_ = p.command.Process.Kill()
		<-p.ended
	}
}
