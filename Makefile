# Every step that decides whether the project is sound is a target here; `make test` runs them all.
.DEFAULT_GOAL := help
SHELL := /bin/bash
export CARGO_TERM_COLOR ?= auto

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## Serve the embedded default configuration on http://localhost:10100
	cargo run --release

HELPS := target/helps
EXPORTER := target/release/upkeep_exporter

.PHONY: helps
helps: ## Write the shells' completions and the manual pages to target/helps
	cargo build --locked --release
	@mkdir -p $(HELPS)
	@$(EXPORTER) completions bash >$(HELPS)/upkeep_exporter
	@$(EXPORTER) completions fish >$(HELPS)/upkeep_exporter.fish
	@$(EXPORTER) completions zsh >$(HELPS)/_upkeep_exporter
	@$(EXPORTER) man >$(HELPS)/upkeep_exporter.1
	@for command in check status check-config completions man; do \
		$(EXPORTER) man $$command >$(HELPS)/upkeep_exporter-$$command.1 || exit 1; \
	done
	@ls $(HELPS)

.PHONY: test
test: setup fmt clippy doc licences unit ## Install what the tests need, then run every check and every test

.PHONY: setup
setup: ## Install the servers and tools that the tests start (Debian packages, as root)
	tests/setup.sh

.PHONY: fmt
fmt: ## Check the formatting
	cargo fmt --check

.PHONY: clippy
clippy: ## Lint everything, warnings are errors
	cargo clippy --locked --all-targets -- -D warnings

.PHONY: doc
doc: ## Build the documentation, warnings are errors
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

.PHONY: licences
licences: ## Check licences, bans and sources, and advisories where their data is at hand
	tests/licences.sh

.PHONY: unit
unit: ## Run the unit and integration tests, those with real servers included
	cargo test --locked --no-fail-fast

.PHONY: conformance
conformance: ## Build the real MinIO with Go and run the tests of s3 checks against it
	tests/conformance.sh

.PHONY: update
update: ## Rewrite the generated files: golden outputs, docs/METRICS.md, the JSON Schema
	UPDATE=1 cargo test --locked --test metrics --test config --test cli

.PHONY: soak
soak: setup ## Put random faults on every component for ten minutes
	UPKEEP_SOAK_SECONDS=600 cargo test --locked --test faults soak -- --nocapture

.PHONY: campaign
campaign: setup ## Make services fail at random for ten minutes and hold the pages against it (UPKEEP_CAMPAIGN_SEED)
	UPKEEP_CAMPAIGN_SECONDS=$${UPKEEP_CAMPAIGN_SECONDS:-600} cargo test --locked --test campaign -- --nocapture

.PHONY: fuzz
fuzz: ## Fuzz the parsers of untrusted input, a minute each (FUZZ_SECONDS)
	fuzz/run.sh

.PHONY: bench
bench: setup ## Measure ours beside the peers and print the table
	cargo bench --locked --bench budgets
