package transport

import "strings"

// location is what a request path names.
type location struct{ group, version, namespace, resource, name string }

// parse reads a Kubernetes request path; what it does not have stays empty.
func parse(path string) location {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var where location
	switch {
	case len(parts) >= 2 && parts[0] == "api":
		where.version, parts = parts[1], parts[2:]
	case len(parts) >= 3 && parts[0] == "apis":
		where.group, where.version, parts = parts[1], parts[2], parts[3:]
	default:
		return where
	}
	if len(parts) >= 3 && parts[0] == "namespaces" {
		where.namespace, parts = parts[1], parts[2:]
	}
	if len(parts) >= 1 {
		where.resource = parts[0]
	}
	if len(parts) >= 2 {
		where.name = parts[1]
	}
	return where
}

// collection names the kind, as discovery does.
func (l location) collection() string {
	return l.group + "/" + l.version + "/" + l.resource
}
