package conformance

import (
	"net"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"

	"guideway.dev/conformance/internal/cluster"
)

// staticPort is the port of the Gateway in the suite's manifest for static addresses.
const staticPort = 8080

// prepareAlone makes the suite's namespace in the cluster of one node, into which the suite's base manifests do not go.
func prepareAlone(t *testing.T, alone *cluster.Cluster) {
	t.Helper()
	clients, err := kubernetes.NewForConfig(configuration(t, alone))
	must(t, err)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: suite.InfrastructureNamespace}}
	_, err = clients.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{})
	must(t, err)
}

// occupy keeps an address busy, so that no Gateway can use it.
func occupy(t *testing.T, address netip.Addr) {
	t.Helper()
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, staticPort)))
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
}
