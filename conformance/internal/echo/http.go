package echo

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"time"

	"sigs.k8s.io/gateway-api/conformance/utils/roundtripper"
)

// serveHTTP answers HTTP/1.1 until the listener is closed.
func (p Pod) serveHTTP(listener net.Listener, port uint16) error {
	server := &http.Server{
		ReadHeaderTimeout: longestSession,
		IdleTimeout:       time.Second,
		Handler: http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
			writer.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(writer).Encode(p.describe(request, port))
		}),
	}
	return server.Serve(listener)
}

// describe tells the suite what arrived, in the shape in which its client reads it.
func (p Pod) describe(request *http.Request, port uint16) roundtripper.CapturedRequest {
	captured := roundtripper.CapturedRequest{
		Path:      request.RequestURI,
		Host:      request.Host,
		Method:    request.Method,
		Protocol:  request.Proto,
		Headers:   request.Header,
		HTTPPort:  strconv.Itoa(int(port)),
		Namespace: p.Namespace,
		Pod:       p.Name,
	}
	if state := request.TLS; state != nil {
		captured.TLS = roundtripper.TLS{
			Version:            tls.VersionName(state.Version),
			ServerName:         state.ServerName,
			NegotiatedProtocol: state.NegotiatedProtocol,
			CipherSuite:        tls.CipherSuiteName(state.CipherSuite),
		}
	}
	return captured
}
