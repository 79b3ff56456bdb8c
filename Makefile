# The two commands of this house are `make demo` and `make test`. What they do is in scripts/.

.PHONY: demo test soak bench conformance generate deny

demo: ## Build, then start three nodes on 127.0.0.1-3 with demo endpoints
	@scripts/demo.sh

test: ## Install what the tests need and run all of them
	@scripts/test.sh

soak: ## The long forms of the tests
	@scripts/soak.sh

bench: ## What the pure parts cost; with BENCH, a node beside other proxies
	@scripts/bench.sh

conformance: ## Run the Gateway API's conformance suite and write its report to docs/conformance
	@scripts/conformance.sh --report

generate: ## Write the files that are generated from code
	@cargo build --package guideway-node && cargo build --package guideway-model --example schemas && scripts/generated.sh

deny: ## Check advisories, licences and bans with cargo-deny
	@scripts/deny.sh
