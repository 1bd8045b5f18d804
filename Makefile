# What a person or the continuous integration runs. `make help` lists it. Each
# target brings what it lacks by apt where that is allowed (root on Debian or
# Ubuntu), and else says in one line what to install.

HOST   := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
TARGET := $(or $(CARGO_TARGET_DIR),target)
SHOP   := $(TARGET)/shop/$(HOST)/release/shop
STATIC := $(TARGET)/static/$(HOST)/debug/rollbackd
PROGRAMS = ROLLBACKD_TEST_SHOP=$(abspath $(SHOP)) ROLLBACKD_TEST_STATIC=$(abspath $(STATIC))
OUT    := $(TARGET)/package
CARGO  := cargo

.DEFAULT_GOAL := help
.PHONY: help demo test test-engines test-quick bench lint package shop static rust docker tools

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name what; do printf '  make %-12s %s\n' "$$name" "$$what"; done

demo: rust docker shop ## a bad deployment, and rollbackd putting it right while you watch
	@$(CARGO) build --release --locked -p rollbackd -p rollbackd-demo
	@$(TARGET)/release/rollbackd-demo --rollbackd $(TARGET)/release/rollbackd --shop $(SHOP)

# The tests of the real binary find the shop by ROLLBACKD_TEST_SHOP, those of the
# packages the static program by ROLLBACKD_TEST_STATIC.
test: rust tools shop static ## all tests: core, model, and the real binary on a real engine
	@if cargo nextest --version >/dev/null 2>&1; then \
		$(PROGRAMS) $(CARGO) nextest run --locked --workspace --features testing; \
	else \
		echo "test: cargo-nextest is not installed; going on with cargo test, one engine test at a time" >&2; \
		$(PROGRAMS) $(CARGO) test --locked --workspace --features testing -- --test-threads=2; \
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

# Static with the C library of this machine: it runs on any Linux of this
# architecture. (docs/operating.md says what a static program lacks.)
package: rust docker ## a Debian package, a static tarball, an image
	@sh package/bring-cargo-deb.sh
	@$(CARGO) build --release --locked -p rollbackd
	@rm -rf $(OUT)
	@sh package/deb.sh release $(OUT)/
	@$(MAKE) --no-print-directory static PROFILE=release
	@sh package/tarball.sh $(abspath $(TARGET)/static/$(HOST)/release/rollbackd) $(OUT) >/dev/null
	@sh package/image.sh $(abspath $(TARGET)/static/$(HOST)/release/rollbackd) rollbackd:latest >/dev/null
	@ls -l $(OUT)/*.deb $(OUT)/*.tar.gz; docker image ls rollbackd:latest

# The tests take it as `cargo build` makes it; the package optimised.
static: rust
	@RUSTFLAGS="-C target-feature=+crt-static" $(CARGO) build --quiet --locked --profile $(or $(PROFILE),dev) -p rollbackd --target $(HOST) --target-dir $(TARGET)/static

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
