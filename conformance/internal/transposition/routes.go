package transposition

// IsRoute says whether an object of a resource becomes a TLSRoute in a test.
func IsRoute(test, resource string) bool {
	return resource == "httproutes" && len(For(test).RouteHostnames) > 0
}

// Route turns an HTTPRoute into the TLSRoute that asks the same in a test.
func Route(test string, route Object) {
	route["kind"] = "TLSRoute"
	if spec, ok := route["spec"].(Object); ok {
		hostnames := make([]any, 0, len(For(test).RouteHostnames))
		for _, hostname := range For(test).RouteHostnames {
			hostnames = append(hostnames, hostname)
		}
		spec["hostnames"] = hostnames
	}
}
