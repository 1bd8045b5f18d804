# What a person or the continuous integration runs. `make help` lists it. Each
# target brings what it lacks by apt where that is allowed (root on Debian or
# Ubuntu), and else says in one line what to install.

HOST   := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
TARGET := $(or $(CARGO_TARGET_DIR),target)
SHOP   := $(TARGET)/shop/$(HOST)/release/shop
CARGO  := cargo

.DEFAULT_GOAL := help
.PHONY: help demo test test-engines test-quick bench lint shop rust docker tools

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name what; do printf '  make %-12s %s\n' "$$name" "$$what"; done

demo: rust docker shop ## a bad deployment, and rollbackd putting it right while you watch
	@$(CARGO) build --release --locked -p rollbackd -p rollbackd-demo
	@$(TARGET)/release/rollbackd-demo --rollbackd $(TARGET)/release/rollbackd --shop $(SHOP)

# The tests of the real binary find the shop by ROLLBACKD_TEST_SHOP.
test: rust tools shop ## all tests: core, model, and the real binary on a real engine
	@if cargo nextest --version >/dev/null 2>&1; then \
		ROLLBACKD_TEST_SHOP=$(abspath $(SHOP)) $(CARGO) nextest run --locked --workspace --features testing; \
	else \
		echo "test: cargo-nextest is not installed; going on with cargo test, one engine test at a time" >&2; \
		ROLLBACKD_TEST_SHOP=$(abspath $(SHOP)) $(CARGO) test --locked --workspace --features testing -- --test-threads=2; \
	fi
	@$(CARGO) test --locked --workspace --features testing --doc

# `make test-engines SETS="compose-v1 sid"` runs some of the sets.
test-engines: rust tools shop ## the promises on other engines and Composes that people have
	@ROLLBACKD_TEST_SHOP=$(abspath $(SHOP)) SETS="$(SETS)" bash tests/test-engines.sh

test-quick: rust ## only what needs no engine
	@$(CARGO) test --locked --workspace --features testing --lib --bins

bench: rust docker shop ## the benches, with their reports in target/criterion
	@ROLLBACKD_TEST_SHOP=$(abspath $(SHOP)) $(CARGO) bench --locked

lint: rust ## formatting, clippy, documentation, licences
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --locked --workspace --all-targets --features testing -- -D warnings
	@RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items --quiet
	@if cargo deny --version >/dev/null 2>&1; then \
		cargo deny --log-level error check --hide-inclusion-graph bans licenses sources && \
		if cargo deny fetch db >/dev/null 2>&1; then cargo deny check advisories; \
		else echo "lint: the advisories cannot be fetched here; skipped" >&2; fi; \
	else \
		echo "lint: licences and advisories skipped: cargo install cargo-deny --locked" >&2; \
	fi

# A static program, so that its images hold nothing else.
shop: rust
	@RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --quiet --release --locked -p shop --target $(HOST) --target-dir $(TARGET)/shop

rust:
	@command -v cargo >/dev/null || { echo "Rust is missing: install it by https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq >/dev/null && apt-get install -y -qq --no-install-recommends gcc libc6-dev >/dev/null; } \
		|| { echo "a C compiler is missing: install gcc (SQLite is built from source)" >&2; exit 1; }

docker:
	@sh demo/bring-docker.sh

tools:
	@sh tests/bring-tools.sh
