package transposition

import "sync"

// Object is a decoded JSON object.
type Object = map[string]any

// Rewriter rewrites objects between the suite and one cluster. It remembers which listeners it changed.
type Rewriter struct {
	mutex sync.Mutex
	ports *ports
	// kinds maps a listener to the kind of route that took HTTPRoute's place on it.
	kinds map[section]string
	turn  int
}

// section is one listener of a Gateway or ListenerSet.
type section struct{ resource, namespace, name, listener string }

// NewRewriter remembers nothing yet.
func NewRewriter() *Rewriter {
	return &Rewriter{ports: newPorts(), kinds: make(map[section]string)}
}

// Target names an object by its path.
type Target struct{ Resource, Namespace, Name string }

// HasListeners says whether objects of a resource have listeners to rewrite.
func HasListeners(resource string) bool {
	return resource == "gateways" || resource == "listenersets"
}

// HasParents says whether objects of a resource name listeners by port.
func HasParents(resource string) bool {
	return resource == "tcproutes" || resource == "udproutes" || resource == "tlsroutes"
}

// Outgoing rewrites an object, or a merge patch of one, that the suite sends in a test.
func (r *Rewriter) Outgoing(test string, target Target, object Object) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	spec, _ := object["spec"].(Object)
	if HasParents(target.Resource) {
		r.rewriteParents(target, spec)
	}
	if !HasListeners(target.Resource) {
		return
	}
	if metadata, ok := object["metadata"].(Object); ok && target.Name == "" {
		target.Name, _ = metadata["name"].(string)
	}
	gateway := r.gatewayOf(target, spec)
	for _, listener := range objects(spec["listeners"]) {
		r.rewriteListener(test, target, listener)
		if port, ok := number(listener["port"]); ok {
			listener["port"] = r.ports.claim(gateway, port, test == "")
		}
	}
}

// Incoming rewrites an object or list that the suite reads in a test.
func (r *Rewriter) Incoming(target Target, object Object) {
	if !HasListeners(target.Resource) {
		return
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if items, isList := object["items"]; isList {
		for _, item := range objects(items) {
			r.rewriteStatus(target, item)
		}
		return
	}
	r.rewriteStatus(target, object)
}

// Deleted forgets a Gateway.
func (r *Rewriter) Deleted(target Target) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if target.Resource == "gateways" {
		r.ports.release(target.Namespace + "/" + target.Name)
	}
}

// NextTest moves on to the next node.
func (r *Rewriter) NextTest() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.turn++
}

// rewriteListener turns an HTTP or HTTPS listener into what the test's row says.
func (r *Rewriter) rewriteListener(test string, target Target, listener Object) {
	row := For(test)
	var becomes Listener
	switch listener["protocol"] {
	case "HTTP":
		becomes = row.HTTP
	case "HTTPS":
		becomes = row.HTTPS
	default:
		return
	}
	if becomes == ByHostname {
		becomes = TCP
		if hostname, _ := listener["hostname"].(string); hostname != "" {
			becomes = Passthrough
		}
	}
	switch becomes {
	case Passthrough:
		listener["protocol"] = "TLS"
		listener["tls"] = Object{"mode": "Passthrough"}
	case Terminate:
		listener["protocol"] = "TLS"
		tls, _ := listener["tls"].(Object)
		if tls == nil {
			tls = Object{}
			listener["tls"] = tls
		}
		tls["mode"] = "Terminate"
	default:
		listener["protocol"] = string(becomes)
		delete(listener, "tls")
		delete(listener, "hostname")
	}
	name, _ := listener["name"].(string)
	r.kinds[section{target.Resource, target.Namespace, target.Name, name}] = becomes.routeKind()
	allowed, _ := listener["allowedRoutes"].(Object)
	rename(objects(allowed["kinds"]), "HTTPRoute", becomes.routeKind())
}

// rewriteStatus names HTTPRoute again where a listener was rewritten, and lets another node come first.
func (r *Rewriter) rewriteStatus(target Target, object Object) {
	metadata, _ := object["metadata"].(Object)
	namespace, _ := metadata["namespace"].(string)
	name, _ := metadata["name"].(string)
	status, _ := object["status"].(Object)
	for _, listener := range objects(status["listeners"]) {
		section := section{target.Resource, namespace, name, ""}
		section.listener, _ = listener["name"].(string)
		if kind, changed := r.kinds[section]; changed {
			rename(objects(listener["supportedKinds"]), kind, "HTTPRoute")
		}
	}
	if addresses, _ := status["addresses"].([]any); len(addresses) > 1 {
		first := r.turn % len(addresses)
		status["addresses"] = append(append([]any{}, addresses[first:]...), addresses[:first]...)
	}
}

// rewriteParents translates the ports by which a route names listeners.
func (r *Rewriter) rewriteParents(target Target, spec Object) {
	for _, parent := range objects(spec["parentRefs"]) {
		if port, ok := number(parent["port"]); ok {
			parent["port"] = r.ports.translate(referred(target, parent), port)
		}
	}
}

// gatewayOf is the Gateway whose ports an object's listeners take.
func (r *Rewriter) gatewayOf(target Target, spec Object) string {
	if target.Resource == "listenersets" {
		parent, _ := spec["parentRef"].(Object)
		return referred(target, parent)
	}
	return target.Namespace + "/" + target.Name
}

// referred is the Gateway that a reference names, in the namespace of whoever refers unless it says otherwise.
func referred(target Target, reference Object) string {
	namespace, _ := reference["namespace"].(string)
	if namespace == "" {
		namespace = target.Namespace
	}
	name, _ := reference["name"].(string)
	return namespace + "/" + name
}

func rename(kinds []Object, from, to string) {
	for _, kind := range kinds {
		if kind["kind"] == from {
			kind["kind"] = to
		}
	}
}

// objects are the objects of a decoded array; nil gives none.
func objects(value any) []Object {
	items, _ := value.([]any)
	found := make([]Object, 0, len(items))
	for _, item := range items {
		if object, ok := item.(Object); ok {
			found = append(found, object)
		}
	}
	return found
}
