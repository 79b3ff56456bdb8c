// Package echo is what answers behind Guideway in the conformance suite: it speaks what the suite expects of its own
// echo image, but on one loopback address for each pod, so that every pod can keep the port its manifest names.
package echo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// Protocol is what one port of a pod speaks.
type Protocol string

const (
	// Lines greets, then answers PING, IS_TLS and TEST line by line: the suite's TCP echo server.
	Lines Protocol = "lines"
	// HTTP answers every request with a JSON description of it.
	HTTP Protocol = "http"
	// Datagrams answers every datagram with a JSON description of it: the suite's UDP echo server.
	Datagrams Protocol = "datagrams"
	// DNS answers every query over UDP with an address of its name.
	DNS Protocol = "dns"
)

// Port is one port of a pod.
type Port struct {
	Protocol Protocol `json:"protocol"`
	Number   uint16   `json:"number"`
	// TLS wraps Lines and HTTP, with the pod's certificate.
	TLS bool `json:"tls,omitempty"`
}

// Pod is one address that answers, and the names it answers with.
type Pod struct {
	Name      string     `json:"name"`
	Namespace string     `json:"namespace"`
	Service   string     `json:"service,omitempty"`
	Address   netip.Addr `json:"address"`
	Ports     []Port     `json:"ports"`
	// Certificate and Key are PEM; both are empty when no port has TLS.
	Certificate string `json:"certificate,omitempty"`
	Key         string `json:"key,omitempty"`
}

// Serve binds every port of the pod, calls ready, and answers until the context ends.
func (p Pod) Serve(ctx context.Context, ready func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	serving := 0
	for _, port := range p.Ports {
		serve, err := p.bind(ctx, port)
		if err != nil {
			return fmt.Errorf("pod %s/%s: %s port %d on %s: %w", p.Namespace, p.Name, port.Protocol, port.Number, p.Address, err)
		}
		serving++
		go func() { cancel(serve()) }()
	}
	if serving != len(p.Ports) {
		return errors.New("not every port is served")
	}
	ready()
	<-ctx.Done()
	return context.Cause(ctx)
}

// bind opens one port and returns what serves it until the context ends.
func (p Pod) bind(ctx context.Context, port Port) (func() error, error) {
	address := netip.AddrPortFrom(p.Address, port.Number)
	switch port.Protocol {
	case Datagrams, DNS:
		socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(address))
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { _ = socket.Close() })
		if port.Protocol == DNS {
			return func() error { return serveDNS(socket) }, nil
		}
		return func() error { return p.serveDatagrams(socket) }, nil
	case Lines, HTTP:
		listener, err := p.listen(address, port.TLS)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { _ = listener.Close() })
		if port.Protocol == HTTP {
			return func() error { return p.serveHTTP(listener, port.Number) }, nil
		}
		return func() error { return p.serveLines(listener) }, nil
	default:
		return nil, fmt.Errorf("no protocol is called %q", port.Protocol)
	}
}

// listen opens a TCP socket, with TLS over it where it is asked for.
func (p Pod) listen(address netip.AddrPort, overTLS bool) (net.Listener, error) {
	plain, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(address))
	if err != nil || !overTLS {
		return plain, err
	}
	certificate, err := tls.X509KeyPair([]byte(p.Certificate), []byte(p.Key))
	if err != nil {
		_ = plain.Close()
		return nil, err
	}
	return tls.NewListener(plain, &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
	}), nil
}
