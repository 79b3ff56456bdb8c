// Package memory answers for the kinds that the suite expects of a Kubernetes cluster and that a load balancer does not
// have: Deployments, Pods, CustomResourceDefinitions, routes of protocols above layer 4.
package memory

// Resource is one kind, and where it is served.
type Resource struct {
	Group, Version, Plural, Kind string
	// ClusterScoped kinds have no namespace.
	ClusterScoped bool
}

// Path is the collection's path below the server, for a namespace where it has one.
func (r Resource) Path(namespace string) string {
	path := "/apis/" + r.Group + "/" + r.Version
	if r.Group == "" {
		path = "/api/" + r.Version
	}
	if namespace != "" {
		path += "/namespaces/" + namespace
	}
	return path + "/" + r.Plural
}

// GroupVersion is the apiVersion of objects of this kind.
func (r Resource) GroupVersion() string {
	if r.Group == "" {
		return r.Version
	}
	return r.Group + "/" + r.Version
}

var (
	// Deployments are what the pods are started for.
	Deployments = Resource{Group: "apps", Version: "v1", Plural: "deployments", Kind: "Deployment"}
	// Pods are the echo processes, as the suite sees them.
	Pods = Resource{Version: "v1", Plural: "pods", Kind: "Pod"}
	// Definitions say which version of the Gateway API is installed.
	Definitions = Resource{
		Group: "apiextensions.k8s.io", Version: "v1", Plural: "customresourcedefinitions",
		Kind: "CustomResourceDefinition", ClusterScoped: true,
	}
)

// Resources is everything that is answered from memory.
var Resources = []Resource{
	Deployments,
	Pods,
	Definitions,
	{Version: "v1", Plural: "serviceaccounts", Kind: "ServiceAccount"},
	{Group: "gateway.networking.k8s.io", Version: "v1", Plural: "httproutes", Kind: "HTTPRoute"},
	{Group: "gateway.networking.k8s.io", Version: "v1", Plural: "grpcroutes", Kind: "GRPCRoute"},
}
