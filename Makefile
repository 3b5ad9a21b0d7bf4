# Every check of the project is a target here; `make test` runs all of them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
export CARGO_TERM_COLOR ?= auto

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## Serve the services of this machine on http://localhost:10100
	cargo run --release

HELPS := target/helps
EXPORTER := target/release/upkeep_exporter

.PHONY: demo
demo: ## Break a service and watch the message arrive, until Ctrl-C (with DEMO_ONCE=1: once)
	@command -v python3 >/dev/null || { echo "make demo: python3 is not installed: run make setup" >&2; exit 1; }
	cargo build --locked --release
	@deploy/demo/demo.py $(EXPORTER)

.PHONY: pictures
pictures: ## Draw the dashboards to docs/images/dashboards with Grafana's packages (10 minutes)
	tests/pictures/setup.sh
	cargo build --locked --release
	node tests/pictures/pictures.mjs $(EXPORTER)

.PHONY: helps
helps: ## Write shell completions and manual pages to target/helps
	cargo build --locked --release
	@mkdir -p $(HELPS)
	@$(EXPORTER) completions bash >$(HELPS)/upkeep_exporter
	@$(EXPORTER) completions fish >$(HELPS)/upkeep_exporter.fish
	@$(EXPORTER) completions zsh >$(HELPS)/_upkeep_exporter
	@$(EXPORTER) man --output-dir $(HELPS)
	@ls $(HELPS)

.PHONY: test
test: setup fmt clippy doc licences unit ## Install the test tools, then run all checks and tests

.PHONY: setup
setup: ## Install the servers and tools that the tests start (Debian packages, as root)
	tests/setup.sh

.PHONY: fmt
fmt: ## Check the formatting
	cargo fmt --check

.PHONY: clippy
clippy: ## Lint all targets; warnings are errors
	cargo clippy --locked --all-targets -- -D warnings

# With --examples, of which there are none, cargo enables the features of the dev-dependencies too, as clippy and the tests do. Without it,
# cargo would check most dependencies a second time.
.PHONY: doc
doc: ## Build the documentation; warnings are errors
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --lib --bins --examples

.PHONY: licences
licences: ## Check licences, bans and sources, and advisories if their database exists
	tests/licences.sh

.PHONY: unit
unit: ## Run all unit and integration tests, including those with real servers
	tests/run.sh

.PHONY: conformance
conformance: ## Build MinIO with Go and run the tests of s3 checks against it
	tests/conformance.sh

.PHONY: update
update: ## Regenerate golden outputs, docs/METRICS.md, docs/ADVICE.md and the JSON Schema
	UPDATE=1 cargo test --locked --test metrics --test config --test cli

.PHONY: soak
soak: setup ## Inject random faults into all components for ten minutes
	UPKEEP_SOAK_SECONDS=600 cargo test --locked --test faults soak -- --nocapture

.PHONY: campaign
campaign: setup ## Inject random service failures for ten minutes and check the pages (UPKEEP_CAMPAIGN_SEED)
	UPKEEP_CAMPAIGN_SECONDS=$${UPKEEP_CAMPAIGN_SECONDS:-600} cargo test --locked --test campaign -- --nocapture

.PHONY: fuzz
fuzz: ## Fuzz the parsers of untrusted input, one minute per target (FUZZ_SECONDS)
	fuzz/run.sh

.PHONY: bench
bench: setup ## Run the benchmarks against other exporters and print a table
	cargo bench --locked --bench budgets
