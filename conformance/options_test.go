package conformance

import (
	"io/fs"
	"net/netip"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/apis/v1alpha2"
	"sigs.k8s.io/gateway-api/apis/v1alpha3"
	upstream "sigs.k8s.io/gateway-api/conformance"
	confv1 "sigs.k8s.io/gateway-api/conformance/apis/v1"
	"sigs.k8s.io/gateway-api/conformance/utils/config"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/gateway-api/pkg/features"
)

// className is the GatewayClass that every Guideway has.
const className = "guideway"

// profiles are the suite's profiles of layer 4, each with the route it is about.
var profiles = []struct {
	route features.FeatureName
	name  suite.ConformanceProfileName
}{
	{features.SupportTCPRoute, suite.GatewayTCPConformanceProfileName},
	{features.SupportUDPRoute, suite.GatewayUDPConformanceProfileName},
	{features.SupportTLSRoute, suite.GatewayTLSConformanceProfileName},
}

// options are what the suite wants to know. The features it tests are those that the GatewayClass claims.
func options(t *testing.T, restConfig *rest.Config, usable, unusable netip.Addr) suite.ConformanceOptions {
	t.Helper()
	clients, err := client.New(restConfig, client.Options{})
	must(t, err)
	must(t, gatewayv1.Install(clients.Scheme()))
	must(t, v1alpha2.Install(clients.Scheme()))
	must(t, v1alpha3.Install(clients.Scheme()))
	must(t, apiextensionsv1.AddToScheme(clients.Scheme()))
	clientset, err := kubernetes.NewForConfig(restConfig)
	must(t, err)
	settings := suite.ConformanceOptions{
		Client:     clients,
		Clientset:  clientset,
		RestConfig: restConfig,
		ManifestFS: []fs.FS{&upstream.Manifests},
		ConfigurableOptions: suite.ConfigurableOptions{
			GatewayClassName:         className,
			CleanupTestResources:     true,
			RunTest:                  *only,
			Mode:                     "default",
			TimeoutConfig:            timeouts(),
			Implementation:           implementation(),
			UsableNetworkAddresses:   specAddress(usable),
			UnusableNetworkAddresses: specAddress(unusable),
		},
	}
	claimed := claimedFeatures(t, clients)
	for _, profile := range profiles {
		if claimed[profile.route] {
			settings.ConformanceProfiles = append(settings.ConformanceProfiles, profile.name)
		}
	}
	if *only != "" {
		// The suite reads the features from the GatewayClass itself, but not when it runs a single test.
		for feature := range claimed {
			settings.SupportedFeatures = append(settings.SupportedFeatures, feature)
		}
	}
	return settings
}

// claimedFeatures are the GatewayClass's supportedFeatures.
func claimedFeatures(t *testing.T, clients client.Client) map[features.FeatureName]bool {
	t.Helper()
	class := &gatewayv1.GatewayClass{}
	must(t, clients.Get(t.Context(), client.ObjectKey{Name: className}, class))
	claimed := make(map[features.FeatureName]bool)
	for _, feature := range class.Status.SupportedFeatures {
		claimed[features.FeatureName(feature.Name)] = true
	}
	return claimed
}

// timeouts bound the suite's waiting. Guideway settles in milliseconds, so the suite looks often; what it waits for
// longer than this will not come.
func timeouts() config.TimeoutConfig {
	timeouts := config.DefaultTimeoutConfig()
	timeouts.DefaultPollInterval = 25 * time.Millisecond
	for _, timeout := range []*time.Duration{
		&timeouts.GatewayMustHaveAddress, &timeouts.GatewayMustHaveCondition, &timeouts.GatewayStatusMustHaveListeners,
		&timeouts.GatewayListenersMustHaveConditions, &timeouts.ListenerSetMustHaveCondition,
		&timeouts.ListenerSetListenersMustHaveConditions, &timeouts.GWCMustBeAccepted, &timeouts.HTTPRouteMustNotHaveParents,
		&timeouts.TLSRouteMustHaveCondition, &timeouts.TCPRouteMustHaveCondition, &timeouts.UDPRouteMustHaveCondition,
		&timeouts.RouteMustHaveParents, &timeouts.NamespacesMustBeReady, &timeouts.LatestObservedGenerationSet,
		&timeouts.DefaultTestTimeout, &timeouts.MaxTimeToConsistency,
	} {
		*timeout = 30 * time.Second
	}
	return timeouts
}

// implementation is who is tested.
func implementation() confv1.Implementation {
	return confv1.Implementation{
		Organization: "guideway",
		Project:      "guideway",
		URL:          "https://guideway.dev",
		Version:      *version,
		Contact:      []string{"https://guideway.dev/contact"},
	}
}

func specAddress(address netip.Addr) []gatewayv1.GatewaySpecAddress {
	kind := gatewayv1.IPAddressType
	return []gatewayv1.GatewaySpecAddress{{Type: &kind, Value: address.String()}}
}
