# `make demo` shows what it does, `make test` that it works. Each needs Rust and a C compiler and
# brings the rest itself.
CARGO ?= cargo

.PHONY: demo test soak bench up check postgres

demo: postgres
	$(CARGO) run --locked --quiet -- demo

test: postgres
	$(CARGO) test --locked --workspace

# The promises at full size, one after the other; the figures go to target/soak.json.
soak: postgres
	TOLLKEEPER_HISTORIES=1000000 timeout 3600 $(CARGO) test --locked -p tollkeeper-jobs no_charge_is_lost -- --nocapture
	TOLLKEEPER_SOAK=1 timeout 3600 $(CARGO) test --locked --test it -- proofs:: story:: billing::histories billing::orders billing::reconcile billing::run outgoing::limits usage::model --test-threads=1 --nocapture

# Beside plain Postgres on the same server; the figures go to target/bench.json. Wants a quiet machine.
bench: postgres
	$(CARGO) build --locked --release --workspace
	target/release/tollkeeper-bench $(ARGS)

# With the settings of the environment; `make up ARGS=--sandbox` needs none.
up: postgres
	$(CARGO) run --locked --quiet -- up $(ARGS)

# Everything that must hold before a change lands.
check:
	.ci/run

# PostgreSQL 14 or newer, if this machine has none.
postgres:
	@.ci/install-postgres
