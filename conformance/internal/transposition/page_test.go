package transposition

import (
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/gateway-api/conformance/tests"
)

const (
	page  = "../../../docs/conformance/README.md"
	begin = "<!-- written by `make conformance` from conformance/internal/transposition/table.go -->\n"
	end   = "<!-- end -->\n"
)

func TestPageShowsTheTable(t *testing.T) {
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(content), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the table", page)
	}
	wanted := before + begin + "\n" + Page() + "\n" + end + after
	if wanted == string(content) {
		return
	}
	if os.Getenv("GUIDEWAY_WRITE_PAGE") == "" {
		t.Fatalf("%s does not show the table as it is: run make conformance", page)
	}
	if err := os.WriteFile(page, []byte(wanted), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestEveryRowIsATestOfTheSuite(t *testing.T) {
	known := make(map[string]bool)
	for _, test := range tests.ConformanceTests {
		known[test.ShortName] = true
	}
	for _, row := range Table {
		if !known[row.Test] {
			t.Errorf("the suite has no test %s", row.Test)
		}
	}
}
