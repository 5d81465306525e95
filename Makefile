# What people type. Each target installs what it lacks, or says in one line what to install.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test bench lint

help: ## Say what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

demo: ## A throwaway Postgres with a shop in it and the proxy in front; Ctrl-C removes it all
	@scripts/need rust postgres
	cargo build --release --locked
	@cargo run --release --locked --quiet -- demo

test: ## Everything CI runs, except `make lint`
	@scripts/need rust postgres libclang python go
	@scripts/python-clients
	@scripts/regression-suite
	@scripts/test

bench: ## The side-by-side pgbench comparison and its table
	@scripts/need rust postgres python pgbouncer haproxy
	cargo build --release --locked
	@scripts/bench

lint: ## Format, clippy, documentation, licences; a warning is an error
	@scripts/need rust rustfmt clippy libclang python
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps
	scripts/licences
