package memory

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/uuid"
)

// largestBody bounds what is read of a request.
const largestBody = 1 << 20

// Store is a Kubernetes API server for Resources, without watches: the suite polls.
type Store struct {
	mutex    sync.Mutex
	objects  map[string]*unstructured.Unstructured
	revision uint64
}

// New is an empty store.
func New() *Store {
	return &Store{objects: make(map[string]*unstructured.Unstructured)}
}

// Put creates or replaces an object, as a controller would.
func (s *Store) Put(resource Resource, object *unstructured.Unstructured) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.put(resource.Path(object.GetNamespace())+"/"+object.GetName(), resource, object)
}

// Remove deletes an object, and does nothing where there is none.
func (s *Store) Remove(resource Resource, namespace, name string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.objects, resource.Path(namespace)+"/"+name)
}

// List returns copies of all objects of one kind, of every namespace, ordered by namespace and name.
func (s *Store) List(resource Resource) []*unstructured.Unstructured {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.list(resource, "")
}

// ServeHTTP answers one request for a kind of Resources.
func (s *Store) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	resource, namespace, name, found := locate(request.URL.Path)
	if !found {
		fail(writer, http.StatusNotFound, metav1.StatusReasonNotFound, "nothing is kept in memory at "+request.URL.Path)
		return
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	switch {
	case request.Method == http.MethodGet && name == "":
		s.answerList(writer, resource, namespace)
	case request.Method == http.MethodPost && name == "":
		s.create(writer, request, resource)
	case name == "":
		fail(writer, http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, request.Method+" of a collection")
	default:
		s.serveObject(writer, request, resource)
	}
}

// serveObject answers a request that names one object.
func (s *Store) serveObject(writer http.ResponseWriter, request *http.Request, resource Resource) {
	object, found := s.objects[request.URL.Path]
	if !found {
		fail(writer, http.StatusNotFound, metav1.StatusReasonNotFound, request.URL.Path+" not found")
		return
	}
	switch request.Method {
	case http.MethodGet:
		answer(writer, http.StatusOK, object)
	case http.MethodPut:
		s.replace(writer, request, resource, nil)
	case http.MethodPatch:
		s.replace(writer, request, resource, object)
	case http.MethodDelete:
		delete(s.objects, request.URL.Path)
		answer(writer, http.StatusOK, metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess,
		})
	default:
		fail(writer, http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, request.Method)
	}
}

func (s *Store) answerList(writer http.ResponseWriter, resource Resource, namespace string) {
	list := unstructured.UnstructuredList{}
	list.SetAPIVersion(resource.GroupVersion())
	list.SetKind(resource.Kind + "List")
	list.SetResourceVersion(strconv.FormatUint(s.revision, 10))
	for _, object := range s.list(resource, namespace) {
		list.Items = append(list.Items, *object)
	}
	answer(writer, http.StatusOK, &list)
}

func (s *Store) create(writer http.ResponseWriter, request *http.Request, resource Resource) {
	object, err := read(request, nil)
	if err != nil {
		fail(writer, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	path := request.URL.Path + "/" + object.GetName()
	if _, exists := s.objects[path]; exists {
		fail(writer, http.StatusConflict, metav1.StatusReasonAlreadyExists, path+" already exists")
		return
	}
	s.put(path, resource, object)
	answer(writer, http.StatusCreated, object)
}

// replace writes the body, or base changed by the body's merge patch.
func (s *Store) replace(writer http.ResponseWriter, request *http.Request, resource Resource, base *unstructured.Unstructured) {
	object, err := read(request, base)
	if err != nil {
		fail(writer, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	s.put(request.URL.Path, resource, object)
	answer(writer, http.StatusOK, object)
}

func (s *Store) put(path string, resource Resource, object *unstructured.Unstructured) {
	s.revision++
	object.SetAPIVersion(resource.GroupVersion())
	object.SetKind(resource.Kind)
	object.SetResourceVersion(strconv.FormatUint(s.revision, 10))
	if object.GetUID() == "" {
		object.SetUID(uuid.NewUUID())
		object.SetCreationTimestamp(metav1.NewTime(time.Now()))
	}
	object.SetGeneration(object.GetGeneration() + 1)
	s.objects[path] = object.DeepCopy()
}

func (s *Store) list(resource Resource, namespace string) []*unstructured.Unstructured {
	var found []*unstructured.Unstructured
	for _, path := range slices.Sorted(maps.Keys(s.objects)) {
		at, in, _, known := locate(path)
		if known && at == resource && (namespace == "" || in == namespace) {
			found = append(found, s.objects[path].DeepCopy())
		}
	}
	return found
}

// Serves says whether a request path is one of Resources.
func Serves(path string) bool {
	_, _, _, found := locate(path)
	return found
}

// locate reads a request path. Sub-resources are not kept.
func locate(path string) (resource Resource, namespace, name string, found bool) {
	for _, resource := range Resources {
		rest, ok := strings.CutPrefix(path, strings.TrimSuffix(resource.Path(""), resource.Plural))
		if !ok {
			continue
		}
		if inside, ok := strings.CutPrefix(rest, "namespaces/"); ok {
			namespace, rest, _ = strings.Cut(inside, "/")
		}
		plural, name, _ := strings.Cut(rest, "/")
		if plural == resource.Plural && !strings.Contains(name, "/") {
			return resource, namespace, name, true
		}
	}
	return Resource{}, "", "", false
}

// read decodes the body, as a merge patch over base where there is one.
func read(request *http.Request, base *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	body, err := io.ReadAll(io.LimitReader(request.Body, largestBody))
	if err != nil {
		return nil, err
	}
	if base != nil {
		before, err := json.Marshal(base)
		if err != nil {
			return nil, err
		}
		if body, err = jsonpatch.MergePatch(before, body); err != nil {
			return nil, err
		}
	}
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(body, object); err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", request.Method, request.URL.Path, err)
	}
	return object, nil
}

func answer(writer http.ResponseWriter, code int, value any) {
	writer.Header().Set("Content-Type", "application/json")
	writer.WriteHeader(code)
	_ = json.NewEncoder(writer).Encode(value)
}

func fail(writer http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	answer(writer, code, metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message,
	})
}
