package transport

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"guideway.dev/conformance/internal/transposition"
)

// call is one request of the suite and where it goes.
type call struct {
	transport *Transport
	next      http.RoundTripper
	test      string
	node      *url.URL
	rewriter  *transposition.Rewriter
}

// forward sends a request to Guideway, rewritten where a transposition says so, and rewrites the answer.
func (c call) forward(request *http.Request) (*http.Response, error) {
	where := parse(request.URL.Path)
	isRoute := transposition.IsRoute(c.test, where.resource)
	target := transposition.Target{Resource: where.resource, Namespace: where.namespace, Name: where.name}
	if request.Body != nil && request.Method != http.MethodDelete {
		err := rewrite(&request.Body, &request.ContentLength, func(object transposition.Object) {
			if isRoute {
				transposition.Route(c.test, object)
			}
			c.rewriter.Outgoing(c.test, target, object)
		})
		if err != nil {
			return nil, err
		}
	}
	if isRoute {
		request.URL.Path = strings.Replace(request.URL.Path, "/httproutes", "/tlsroutes", 1)
	}
	response, err := c.send(request)
	if err != nil {
		return nil, err
	}
	succeeded := response.StatusCode < http.StatusMultipleChoices
	if succeeded && request.Method == http.MethodDelete {
		c.rewriter.Deleted(target)
	}
	if succeeded && (transposition.HasListeners(where.resource) || isRoute) {
		err = rewrite(&response.Body, &response.ContentLength, func(object transposition.Object) {
			if isRoute && object["kind"] == "TLSRoute" {
				object["kind"] = "HTTPRoute"
			}
			c.rewriter.Incoming(target, object)
		})
		if err != nil {
			return nil, err
		}
		response.Header.Del("Content-Length")
	}
	return c.settled(request, response)
}

// send passes a request on to the call's node.
func (c call) send(request *http.Request) (*http.Response, error) {
	request.URL.Scheme, request.URL.Host = c.node.Scheme, c.node.Host
	request.Host = c.node.Host
	return c.next.RoundTrip(request)
}

// settled lets pods and EndpointSlices follow a change of what they depend on before the suite has its answer.
func (c call) settled(request *http.Request, response *http.Response) (*http.Response, error) {
	response.Request = request
	changed := request.Method != http.MethodGet && response.StatusCode < http.StatusMultipleChoices
	switch parse(request.URL.Path).resource {
	case "deployments", "services", "secrets":
		if !changed {
			break
		}
		if err := c.transport.Pods.Settle(request.Context()); err != nil {
			_ = response.Body.Close()
			return failure(request, err), nil
		}
	}
	return response, nil
}

// rewrite decodes a JSON body, lets change have it, and puts it back. A body that is no JSON object stays as it is.
func rewrite(content *io.ReadCloser, length *int64, change func(transposition.Object)) error {
	original, err := io.ReadAll(*content)
	_ = (*content).Close()
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(original))
	decoder.UseNumber()
	object := transposition.Object{}
	if decoder.Decode(&object) == nil {
		change(object)
		if original, err = json.Marshal(object); err != nil {
			return err
		}
	}
	*content, *length = body{bytes.NewReader(original)}, int64(len(original))
	return nil
}
