// Package transport is the API server that the suite believes in: it sends the kinds that Guideway serves to Guideway,
// answers for the others from memory, and transposes what only an HTTP gateway can answer.
package transport

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"

	"guideway.dev/conformance/internal/memory"
	"guideway.dev/conformance/internal/pods"
	"guideway.dev/conformance/internal/transposition"
)

// Transport answers the suite's requests.
type Transport struct {
	// Memory answers for the kinds that Guideway does not serve.
	Memory *memory.Store
	// Pods starts what the Deployments ask for.
	Pods *pods.Controller
	// Nodes are the APIs of the nodes; each test reads and writes at another.
	Nodes []*url.URL
	// Alone is the API of the cluster of one node.
	Alone *url.URL
	// AloneVia reaches it: it has an authority of its own, and an administrator of its own.
	AloneVia http.RoundTripper

	rewriter      *transposition.Rewriter
	aloneRewriter *transposition.Rewriter
	served        map[string]bool

	mutex sync.Mutex
	tests []string
}

// Over makes an http.RoundTripper that uses next to reach Guideway.
func (t *Transport) Over(next http.RoundTripper) http.RoundTripper {
	return roundTripper{transport: t, next: next}
}

type roundTripper struct {
	transport *Transport
	next      http.RoundTripper
}

// RoundTrip answers one request of the suite.
func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) {
	test := testOf(request.UserAgent())
	call := call{
		transport: r.transport,
		next:      r.next,
		test:      test,
		node:      r.transport.node(test),
		rewriter:  r.transport.rewriter,
	}
	if transposition.For(test).OneNode {
		call.node, call.rewriter = r.transport.Alone, r.transport.aloneRewriter
		call.next = r.transport.AloneVia
	}
	request = request.Clone(request.Context())
	if isDiscovery(request.URL.Path) {
		return call.discover(request)
	}
	if r.transport.fromMemory(test, request.URL.Path) {
		recorder := httptest.NewRecorder()
		r.transport.Memory.ServeHTTP(recorder, request)
		return call.settled(request, recorder.Result())
	}
	return call.forward(request)
}

// fromMemory says whether Guideway does not serve what is at a path.
func (t *Transport) fromMemory(test, path string) bool {
	where := parse(path)
	return memory.Serves(path) && !t.served[where.collection()] && !transposition.IsRoute(test, where.resource)
}

// node is whose API a test uses: the next one's at each test.
func (t *Transport) node(test string) *url.URL {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if len(t.tests) == 0 || t.tests[len(t.tests)-1] != test {
		t.tests = append(t.tests, test)
		t.rewriter.NextTest()
	}
	return t.Nodes[len(t.tests)%len(t.Nodes)]
}

// testOf reads the test's name, which the suite puts into the user agent of the client it makes for each test:
// "gateway-api-conformance.test::version::name::features". It is empty outside of tests.
func testOf(agent string) string {
	parts := strings.Split(agent, "::")
	if len(parts) < 4 {
		return ""
	}
	return parts[2]
}

// failure is a response that says why the harness itself could not go on.
func failure(request *http.Request, err error) *http.Response {
	recorder := httptest.NewRecorder()
	recorder.Header().Set("Content-Type", "application/json")
	recorder.WriteHeader(http.StatusInternalServerError)
	_, _ = fmt.Fprintf(recorder, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":500,"message":%q}`, err.Error())
	response := recorder.Result()
	response.Request = request
	return response
}

// body is a buffer that can be closed.
type body struct{ *bytes.Reader }

func (body) Close() error { return nil }
