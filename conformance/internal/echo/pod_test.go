package echo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/gateway-api/conformance/echo-basic/tcpserver"
	"sigs.k8s.io/gateway-api/conformance/echo-basic/udpechoserver"
)

// pods counts the pods of this process, each of which has an address of its own.
var pods atomic.Uint32

// pod serves one port of a protocol and returns where.
func pod(t *testing.T, protocol Protocol) string {
	t.Helper()
	process := os.Getpid()
	address := netip.AddrFrom4([4]byte{127, byte(128 | process>>8&0x7f), byte(process), byte(pods.Add(1))})
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan struct{}), make(chan error, 1)
	served := Pod{Name: "p-1-2", Namespace: "n", Address: address, Ports: []Port{{Protocol: protocol, Number: 3000}}}
	go func() { ended <- served.Serve(ctx, func() { close(ready) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	return netip.AddrPortFrom(address, 3000).String()
}

func dial(t *testing.T, network, address string) net.Conn {
	t.Helper()
	connection, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return connection
}

func TestLinesAreAnsweredAsTheSuitesServerDoes(t *testing.T) {
	connection := dial(t, "tcp", pod(t, Lines))
	reader := bufio.NewReader(connection)
	wanted := []string{tcpserver.WelcomeMessage, "PONG\n", "false\n"}
	if _, err := fmt.Fprint(connection, "PING\nunknown\nIS_TLS\nTEST\n"); err != nil {
		t.Fatal(err)
	}
	for _, line := range wanted {
		if got, err := reader.ReadString('\n'); got != line {
			t.Fatalf("got %q (%v), want %q", got, err, line)
		}
	}
	var assertions tcpserver.TCPAssertions
	if err := json.NewDecoder(reader).Decode(&assertions); err != nil || assertions.Pod != "p-1-2" {
		t.Fatalf("got %+v (%v)", assertions, err)
	}
}

func TestDatagramsAreAnsweredAsTheSuitesServerDoes(t *testing.T) {
	connection := dial(t, "udp", pod(t, Datagrams))
	if _, err := connection.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 1024)
	length, err := connection.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	var answer udpechoserver.EchoResponse
	if err := json.Unmarshal(buffer[:length], &answer); err != nil || answer.Request != "hello" || answer.Pod != "p-1-2" {
		t.Fatalf("got %+v (%v)", answer, err)
	}
}
