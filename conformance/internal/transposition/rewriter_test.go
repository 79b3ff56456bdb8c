package transposition

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

func TestListenersBecomeLayer4(t *testing.T) {
	cases := map[string]struct{ test, listener, becomes string }{
		"plain HTTP": {
			"", `{"name":"a","port":20000,"protocol":"HTTP"}`,
			`{"name":"a","port":20000,"protocol":"TCP"}`,
		},
		"HTTP with a hostname": {
			"", `{"name":"a","port":20000,"protocol":"HTTP","hostname":"x.org"}`,
			`{"name":"a","port":20000,"protocol":"TLS","hostname":"x.org","tls":{"mode":"Passthrough"}}`,
		},
		"HTTPS keeps its certificates": {
			"", `{"name":"a","port":20000,"protocol":"HTTPS","tls":{"certificateRefs":[{"name":"c"}]}}`,
			`{"name":"a","port":20000,"protocol":"TLS","tls":{"mode":"Terminate","certificateRefs":[{"name":"c"}]}}`,
		},
		"only HTTPRoute is renamed among kinds": {
			"", `{"name":"a","port":20000,"protocol":"HTTP","allowedRoutes":{"kinds":[{"kind":"Odd"},{"kind":"HTTPRoute"}]}}`,
			`{"name":"a","port":20000,"protocol":"TCP","allowedRoutes":{"kinds":[{"kind":"Odd"},{"kind":"TCPRoute"}]}}`,
		},
		"a listener of layer 4 stays": {
			"", `{"name":"a","port":20000,"protocol":"TLS","allowedRoutes":{"kinds":[{"kind":"HTTPRoute"}]}}`,
			`{"name":"a","port":20000,"protocol":"TLS","allowedRoutes":{"kinds":[{"kind":"HTTPRoute"}]}}`,
		},
		"a test with a row of its own": {
			"TCPRouteInvalidNonTCPListener", `{"name":"a","port":5300,"protocol":"HTTP"}`,
			`{"name":"a","port":5300,"protocol":"UDP"}`,
		},
	}
	for name, row := range cases {
		t.Run(name, func(t *testing.T) {
			object := decode(t, `{"spec":{"listeners":[`+row.listener+`]}}`)
			NewRewriter().Outgoing(row.test, Target{"gateways", "n", "g"}, object)
			wanted := decode(t, `{"spec":{"listeners":[`+row.becomes+`]}}`)
			if got, want := encode(t, object), encode(t, wanted); got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
		})
	}
}

func TestSupportedKindsAreNamedAsTheTestWroteThem(t *testing.T) {
	rewriter := NewRewriter()
	target := Target{"gateways", "n", "g"}
	rewriter.Outgoing("T", target, decode(t, `{"spec":{"listeners":[
		{"name":"http","port":80,"protocol":"HTTP"},{"name":"tcp","port":81,"protocol":"TCP"}]}}`))
	read := decode(t, `{"metadata":{"namespace":"n","name":"g"},"status":{"listeners":[
		{"name":"http","supportedKinds":[{"kind":"TCPRoute"}]},{"name":"tcp","supportedKinds":[{"kind":"TCPRoute"}]}]}}`)
	rewriter.Incoming(target, read)
	wanted := decode(t, `{"metadata":{"namespace":"n","name":"g"},"status":{"listeners":[
		{"name":"http","supportedKinds":[{"kind":"HTTPRoute"}]},{"name":"tcp","supportedKinds":[{"kind":"TCPRoute"}]}]}}`)
	if !reflect.DeepEqual(read, wanted) {
		t.Fatalf("got %s", encode(t, read))
	}
}

func TestEachGatewayHasPortsOfItsOwn(t *testing.T) {
	rewriter := NewRewriter()
	ports := func(gateway string) string {
		object := decode(t, `{"spec":{"listeners":[{"name":"a","port":443},{"name":"b","port":443}]}}`)
		rewriter.Outgoing("T", Target{"gateways", "n", gateway}, object)
		return encode(t, object["spec"])
	}
	first, second := ports("one"), ports("two")
	if first != `{"listeners":[{"name":"a","port":443},{"name":"b","port":443}]}` {
		t.Fatalf("the first has %s", first)
	}
	if second != `{"listeners":[{"name":"a","port":20000},{"name":"b","port":20000}]}` {
		t.Fatalf("the second has %s", second)
	}
	route := decode(t, `{"spec":{"parentRefs":[{"name":"two","port":443}]}}`)
	rewriter.Outgoing("T", Target{"tcproutes", "n", "r"}, route)
	if got := encode(t, route["spec"]); got != `{"parentRefs":[{"name":"two","port":20000}]}` {
		t.Fatalf("the route of the second has %s", got)
	}
	rewriter.Deleted(Target{"gateways", "n", "one"})
	if third := ports("three"); third != first {
		t.Fatalf("the port that was given back is not used: %s", third)
	}
}

func decode(t *testing.T, text string) Object {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	object := Object{}
	if err := decoder.Decode(&object); err != nil {
		t.Fatal(err)
	}
	return object
}

func encode(t *testing.T, value any) string {
	t.Helper()
	content, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
