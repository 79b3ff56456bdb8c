package echo

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"time"

	"sigs.k8s.io/gateway-api/conformance/echo-basic/tcpserver"
)

// longestSession bounds a session of a client that forgot to close: the suite's clients are done in seconds.
const longestSession = time.Minute

// serveLines accepts until the listener is closed.
func (p Pod) serveLines(listener net.Listener) error {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go p.answerLines(connection)
	}
}

// answerLines greets one client and answers its lines until it leaves. Words it does not know are ignored, as the
// suite's own server ignores them.
func (p Pod) answerLines(connection net.Conn) {
	defer func() { _ = connection.Close() }()
	_ = connection.SetDeadline(time.Now().Add(longestSession))
	assertions := tcpserver.TCPAssertions{
		Context: tcpserver.Context{Namespace: p.Namespace, Service: p.Service, Pod: p.Name},
	}
	if secure, ok := connection.(*tls.Conn); ok {
		if secure.Handshake() != nil {
			return
		}
		state := secure.ConnectionState()
		assertions.IsTLS = true
		assertions.TLSAssertion = &tcpserver.TLSAssertions{
			Version:            tls.VersionName(state.Version),
			ServerName:         state.ServerName,
			NegotiatedProtocol: state.NegotiatedProtocol,
			Curves:             state.CurveID.String(),
			CipherSuite:        tls.CipherSuiteName(state.CipherSuite),
		}
	}
	description, err := json.Marshal(assertions)
	if err != nil {
		return
	}
	if _, err := fmt.Fprint(connection, tcpserver.WelcomeMessage); err != nil {
		return
	}
	lines := bufio.NewScanner(connection)
	for lines.Scan() {
		switch lines.Text() {
		case "PING":
			_, err = fmt.Fprintln(connection, "PONG")
		case "IS_TLS":
			_, err = fmt.Fprintln(connection, assertions.IsTLS)
		case "TEST":
			_, err = fmt.Fprintln(connection, string(description))
		}
		if err != nil {
			return
		}
	}
}
