package memory

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const collection = "/apis/apps/v1/namespaces/n/deployments"

func TestObjectsAreKeptAsAnAPIServerKeepsThem(t *testing.T) {
	store := New()
	steps := []struct {
		method, path, body string
		code               int
		answers            string
	}{
		{http.MethodGet, collection + "/d", "", http.StatusNotFound, `"reason":"NotFound"`},
		{http.MethodPost, collection, `{"kind":"Deployment","metadata":{"name":"d","namespace":"n"}}`, http.StatusCreated, `"name":"d"`},
		{http.MethodPost, collection, `{"kind":"Deployment","metadata":{"name":"d","namespace":"n"}}`, http.StatusConflict, `AlreadyExists`},
		{http.MethodPatch, collection + "/d", `{"spec":{"replicas":2}}`, http.StatusOK, `"replicas":2`},
		{http.MethodGet, collection, "", http.StatusOK, `"replicas":2`},
		{http.MethodGet, "/apis/apps/v1/deployments", "", http.StatusOK, `"name":"d"`},
		{http.MethodGet, "/apis/apps/v1/namespaces/other/deployments", "", http.StatusOK, `"items":[]`},
		{http.MethodDelete, collection + "/d", "", http.StatusOK, `Success`},
		{http.MethodGet, collection + "/d", "", http.StatusNotFound, `NotFound`},
		{http.MethodGet, "/apis/apps/v1/namespaces/n/statefulsets", "", http.StatusNotFound, `NotFound`},
	}
	for _, step := range steps {
		recorder := httptest.NewRecorder()
		store.ServeHTTP(recorder, httptest.NewRequest(step.method, step.path, strings.NewReader(step.body)))
		if recorder.Code != step.code || !strings.Contains(recorder.Body.String(), step.answers) {
			t.Fatalf("%s %s answers %d %s", step.method, step.path, recorder.Code, recorder.Body)
		}
	}
}
