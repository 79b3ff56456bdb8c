package transposition

import (
	"fmt"
	"strings"
)

// Page is Table and Always as Markdown.
func Page() string {
	var page strings.Builder
	page.WriteString("| test | HTTP becomes | HTTPS becomes | beside that | reason |\n|---|---|---|---|---|\n")
	writeRow(&page, "every other test", Default)
	for _, row := range Table {
		writeRow(&page, "`"+row.Test+"`", row)
	}
	page.WriteString("\nIn every test:\n\n| what | reason |\n|---|---|\n")
	for _, line := range Always {
		fmt.Fprintf(&page, "| %s | %s |\n", line.What, line.Reason)
	}
	return page.String()
}

func writeRow(page *strings.Builder, name string, row Row) {
	var beside []string
	if len(row.RouteHostnames) > 0 {
		beside = append(beside, "HTTPRoute becomes TLSRoute for "+strings.Join(row.RouteHostnames, ", "))
	}
	if row.OneNode {
		beside = append(beside, "one node")
	}
	fmt.Fprintf(page, "| %s | %s | %s | %s | %s |\n", name, row.HTTP, row.HTTPS, strings.Join(beside, "; "), row.Reason)
}
