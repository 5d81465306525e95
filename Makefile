# What people type. Each target installs what it lacks, or says in one line what to install.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test fuzz bench lint

help: ## Say what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

demo: ## A throwaway Postgres with a shop in it and the proxy in front; Ctrl-C removes it all
	@scripts/need rust postgres
	cargo build --release --locked
	@cargo run --release --locked --quiet -- demo

test: ## Everything CI runs, except `make lint`
	@scripts/need rust postgres libclang python go openssl bzip2 tmux
	@scripts/python-clients
	@scripts/regression-suite
	@scripts/test

fuzz: ## The analysis against the server's own parser, on random statements: five minutes, or SECONDS=N; SEED=N repeats
	@scripts/need rust libclang bzip2
	@scripts/regression-suite
	cargo build --release --locked --manifest-path fuzz/Cargo.toml --target-dir target/fuzz
	@target/fuzz/release/pgsluice-fuzz --seconds $(or $(SECONDS),300) $(if $(SEED),--seed $(SEED))

bench: ## The side-by-side pgbench comparison and its table
	@scripts/need rust postgres python pgbouncer haproxy
	cargo build --release --locked
	@scripts/bench

lint: ## Format, clippy, documentation, licences; a warning is an error
	@scripts/need rust rustfmt clippy libclang python
	cargo fmt --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --features pg-query -- -D warnings
	cargo clippy --locked --manifest-path fuzz/Cargo.toml --target-dir target/fuzz -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps
	scripts/licences
