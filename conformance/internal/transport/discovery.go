package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"guideway.dev/conformance/internal/memory"
	"guideway.dev/conformance/internal/transposition"
)

// verbs are what memory answers to.
var verbs = metav1.Verbs{"create", "delete", "get", "list", "patch", "update"}

// Learn asks Guideway which kinds it serves; what it does not serve is answered from memory.
func (t *Transport) Learn(ctx context.Context, client *http.Client) error {
	t.rewriter, t.aloneRewriter = transposition.NewRewriter(), transposition.NewRewriter()
	t.served = make(map[string]bool)
	for _, resource := range memory.Resources {
		path := strings.TrimSuffix(resource.Path(""), "/"+resource.Plural)
		list := metav1.APIResourceList{}
		if _, err := fetch(ctx, client, t.Nodes[0].JoinPath(path).String(), &list); err != nil {
			return err
		}
		for _, served := range list.APIResources {
			t.served[parse(path+"/"+served.Name).collection()] = true
		}
	}
	return nil
}

// fetch reads a document and reports whether there is one.
func fetch(ctx context.Context, client *http.Client, address string, into any) (bool, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false, err
	}
	response, err := client.Do(request)
	if err != nil {
		return false, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusNotFound {
		return false, nil
	}
	if response.StatusCode != http.StatusOK {
		return false, fmt.Errorf("%s answers %s", address, response.Status)
	}
	return true, json.NewDecoder(response.Body).Decode(into)
}

// isDiscovery says whether a path asks which kinds there are.
func isDiscovery(path string) bool {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch parts[0] {
	case "api":
		return len(parts) <= 2
	case "apis":
		return len(parts) <= 3
	default:
		return false
	}
}

// discover answers with Guideway's kinds and memory's.
func (c call) discover(request *http.Request) (*http.Response, error) {
	// Without the parameters of aggregated discovery the plain documents come.
	request.Header.Set("Accept", "application/json")
	response, err := c.send(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var document any
	where := parse(request.URL.Path)
	switch {
	case where.version != "":
		document, err = c.kinds(where, response.StatusCode, content)
	case request.URL.Path == "/apis":
		document, err = groups(content)
	default:
		document = json.RawMessage(content)
	}
	if err != nil {
		return nil, err
	}
	if content, err = json.Marshal(document); err != nil {
		return nil, err
	}
	return &http.Response{
		Status: http.StatusText(http.StatusOK), StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   body{bytes.NewReader(content)}, ContentLength: int64(len(content)), Request: request,
	}, nil
}

// groups adds memory's groups to Guideway's.
func groups(content []byte) (*metav1.APIGroupList, error) {
	list := &metav1.APIGroupList{}
	if err := json.Unmarshal(content, list); err != nil {
		return nil, err
	}
	for _, resource := range memory.Resources {
		known := slices.ContainsFunc(list.Groups, func(group metav1.APIGroup) bool { return group.Name == resource.Group })
		if resource.Group == "" || known {
			continue
		}
		version := metav1.GroupVersionForDiscovery{GroupVersion: resource.GroupVersion(), Version: resource.Version}
		list.Groups = append(list.Groups, metav1.APIGroup{
			Name: resource.Group, Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version,
		})
	}
	return list, nil
}

// kinds adds memory's kinds of one group and version to Guideway's.
func (c call) kinds(where location, code int, content []byte) (*metav1.APIResourceList, error) {
	list := &metav1.APIResourceList{}
	if code == http.StatusOK {
		if err := json.Unmarshal(content, list); err != nil {
			return nil, err
		}
	}
	for _, resource := range memory.Resources {
		at := location{group: resource.Group, version: resource.Version, resource: resource.Plural}
		if resource.Group != where.group || resource.Version != where.version || c.transport.served[at.collection()] {
			continue
		}
		list.TypeMeta = metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}
		list.GroupVersion = resource.GroupVersion()
		list.APIResources = append(list.APIResources, metav1.APIResource{
			Name: resource.Plural, Kind: resource.Kind, Namespaced: !resource.ClusterScoped, Verbs: verbs,
		})
	}
	return list, nil
}
