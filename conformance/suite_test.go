// Package conformance runs the Gateway API's own conformance suite against a Guideway of three nodes.
package conformance

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/gateway-api/conformance/tests"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/yaml"

	"guideway.dev/conformance/internal/cluster"
	"guideway.dev/conformance/internal/memory"
	"guideway.dev/conformance/internal/pods"
	"guideway.dev/conformance/internal/transport"
)

var (
	binary  = flag.String("guideway", "", "path of the guideway binary")
	echo    = flag.String("echo", "", "path of the echo binary")
	folder  = flag.String("folder", "", "folder for the nodes' data and logs")
	report  = flag.String("report", "", "folder to write the report to")
	version = flag.String("guideway-version", "", "version to put into the report")
	only    = flag.String("only", "", "name of the one test of the suite to run")
	base    = flag.String("base-address", "127.0.90.1", "address of the first node")
)

// TestConformance runs every test of the suite that the GatewayClass's supportedFeatures call for.
func TestConformance(t *testing.T) {
	first, err := netip.ParseAddr(*base)
	must(t, err)
	lone := netip.AddrFrom4([4]byte{127, 0, first.As4()[2], 11})
	nodes := start(t, "three", first, 3)
	alone := start(t, "one", lone, 1)

	config := configuration(t, nodes)
	store := memory.New()
	store.AddDefinition()
	via, err := rest.TransportFor(configuration(t, alone))
	must(t, err)
	server := &transport.Transport{Memory: store, Alone: address(t, alone.Nodes[0].API), AloneVia: via}
	for _, node := range nodes.Nodes {
		server.Nodes = append(server.Nodes, address(t, node.API))
	}
	client, err := rest.HTTPClientFor(rest.CopyConfig(config))
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must(t, server.Learn(ctx, client))
	prepareAlone(t, alone)

	config.Wrap(server.Over)
	clients, err := kubernetes.NewForConfig(rest.CopyConfig(config))
	must(t, err)
	server.Pods = pods.New(*echo, store, clients, netip.AddrFrom4([4]byte{127, first.As4()[2], 0, 1}))
	t.Cleanup(server.Pods.Stop)
	unusable := lone.Next()
	occupy(t, unusable)
	conform(t, options(t, config, unusable.Next(), unusable))
}

// conform runs the suite's tests one after the other and writes the report.
func conform(t *testing.T, settings suite.ConformanceOptions) {
	t.Helper()
	cases := slices.Clone(tests.ConformanceTests)
	for index := range cases {
		cases[index].Parallel = false
	}
	conformance, err := suite.NewConformanceTestSuite(settings)
	must(t, err)
	conformance.Setup(t, cases)
	must(t, conformance.Run(t, cases))
	result, err := conformance.Report()
	must(t, err)
	content, err := yaml.Marshal(result)
	must(t, err)
	t.Logf("conformance report:\n%s", content)
	if *report != "" && *only == "" {
		name := fmt.Sprintf("%s-%s-%s-report.yaml", result.GatewayAPIChannel, *version, result.Mode)
		must(t, os.WriteFile(filepath.Join(*report, name), content, 0o644))
	}
}

// start runs nodes until the end of the test.
func start(t *testing.T, name string, first netip.Addr, nodes int) *cluster.Cluster {
	t.Helper()
	started, err := cluster.Start(t.Context(), cluster.Options{
		Binary: *binary, BaseAddress: first, Nodes: nodes, Folder: filepath.Join(*folder, name),
	})
	must(t, err)
	t.Cleanup(func() {
		if err := started.Stop(); err != nil {
			t.Error(err)
		}
	})
	return started
}

// configuration is a client configuration from a cluster's kubeconfig. The suite reads fast and in JSON only.
func configuration(t *testing.T, nodes *cluster.Cluster) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", nodes.Kubeconfig)
	must(t, err)
	config.QPS = -1
	config.ContentType, config.AcceptContentTypes = "application/json", "application/json"
	config.Timeout = time.Minute
	return config
}

func address(t *testing.T, text string) *url.URL {
	t.Helper()
	parsed, err := url.Parse(text)
	must(t, err)
	return parsed
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestMain refuses to run without what the script gives.
func TestMain(m *testing.M) {
	flag.Parse()
	for _, needed := range []*string{binary, echo, folder} {
		if *needed == "" {
			_, _ = os.Stderr.WriteString("run scripts/conformance.sh, which builds what -guideway, -echo and -folder name\n")
			os.Exit(2)
		}
	}
	os.Exit(m.Run())
}
