// Package transposition asks a layer-4 gateway what the suite asks of an HTTP gateway.
//
// The suite's tests of Gateway and ListenerSet themselves are about listeners, conditions, generations, certificates and
// grants, yet their manifests use HTTP and HTTPS listeners, because every gateway was taken for an HTTP gateway once.
// Nothing here changes what a test asserts: objects are rewritten on their way to Guideway, and the names of kinds in
// status.supportedKinds on their way back. Everything that is rewritten is in Table and Always.
package transposition

// Listener is what an HTTP or HTTPS listener becomes.
type Listener string

const (
	// TCP takes TCPRoutes, and has neither hostname nor certificate.
	TCP Listener = "TCP"
	// UDP takes UDPRoutes, and has neither hostname nor certificate.
	UDP Listener = "UDP"
	// Passthrough is protocol TLS, and takes TLSRoutes by the hostname the client names.
	Passthrough Listener = "TLS/Passthrough"
	// Terminate is protocol TLS with the listener's own certificates.
	Terminate Listener = "TLS/Terminate"
	// ByHostname is Passthrough where the listener has a hostname, else TCP.
	ByHostname Listener = "TCP, or TLS/Passthrough where there is a hostname"
)

// routeKind is the kind of route that takes HTTPRoute's place on such a listener.
func (l Listener) routeKind() string {
	switch l {
	case TCP:
		return "TCPRoute"
	case UDP:
		return "UDPRoute"
	default:
		return "TLSRoute"
	}
}

// Row says how the manifests of one test are rewritten, and why that asks the same question.
type Row struct {
	// Test is the test's name in the suite.
	Test string
	// HTTP and HTTPS are what listeners of these protocols become.
	HTTP, HTTPS Listener
	// RouteHostnames, where there are any, turn the test's HTTPRoutes into TLSRoutes for these hostnames.
	RouteHostnames []string
	// OneNode sends the test to a cluster of one node.
	OneNode bool
	// Reason is why.
	Reason string
}

// Default is how every test is rewritten that has no row of its own.
var Default = Row{
	HTTP:  ByHostname,
	HTTPS: Terminate,
	Reason: "Layer 4 has no HTTP. What HTTP listeners tell apart by the Host header, TLS listeners tell apart by SNI; " +
		"without a hostname a TCP listener is the plain one. HTTPS is TLS that the Gateway terminates, with the same " +
		"certificateRefs. HTTPRoute in allowedRoutes.kinds, and in the supportedKinds that the test reads, stands for " +
		"the kind of route that such a listener takes.",
}

// Table has the tests that are rewritten in another way.
var Table = []Row{
	{
		Test: "GatewayModifyListeners", HTTP: Passthrough, HTTPS: Terminate,
		RouteHostnames: []string{"*.test.com"},
		Reason: "One HTTPRoute without hostnames attaches to the HTTP and the HTTPS listener of a Gateway. Its counterpart " +
			"is one TLSRoute on two TLS listeners; a TLSRoute must name its hostnames, and this one covers both.",
	},
	{
		Test: "GatewayStaticAddresses", HTTP: ByHostname, HTTPS: Terminate, OneNode: true,
		Reason: "Every node binds the addresses a Gateway asks for. On one machine only one process can hold an address and " +
			"port, so this test has a cluster of one node. The unusable address is one on which another process listens.",
	},
	{
		Test: "TCPRouteInvalidNonTCPListener", HTTP: UDP, HTTPS: Terminate,
		Reason: "The listener has to be one that takes no TCPRoute; the usual counterpart of HTTP, a TCP listener, would.",
	},
	{
		Test: "TLSRouteInvalidNoMatchingListener", HTTP: TCP, HTTPS: TCP,
		Reason: "Both listeners have to be ones that take no TLSRoute; the usual counterpart of HTTPS, a TLS listener, would.",
	},
}

// Always is what is rewritten in every test beside listeners, each with its reason.
var Always = []struct{ What, Reason string }{
	{
		What: "A listener port that another Gateway holds becomes a free one, and so do the ports of the suite's base Gateways.",
		Reason: "The suite takes every Gateway to have an address of its own, as from a cloud's load balancer. A Gateway " +
			"without spec.addresses listens on its node's address, and three nodes on one machine have three. The tests read " +
			"the port from the Gateway.",
	},
	{
		What:   "status.addresses is rotated, and requests go to the API of another node from test to test.",
		Reason: "The suite uses the first address only. So traffic reaches every node, and every node's view is read.",
	},
	{
		What:   "Tests that the suite marks as parallel run one after the other.",
		Reason: "The suite counts a parallel test as passed when it starts, before its result is known.",
	},
}

// For is the row of a test.
func For(test string) Row {
	for _, row := range Table {
		if row.Test == test {
			return row
		}
	}
	return Default
}
