# `make demo` shows what it does, `make test` that it works. Each needs Rust and a C compiler and
# brings the rest itself.
CARGO ?= cargo

.PHONY: demo test up check postgres

demo: postgres
	$(CARGO) run --locked --quiet -- demo

test: postgres
	$(CARGO) test --locked --workspace

# With the settings of the environment; `make up ARGS=--sandbox` needs none.
up: postgres
	$(CARGO) run --locked --quiet -- up $(ARGS)

# Everything that must hold before a change lands.
check:
	.ci/run

# PostgreSQL 14 or newer, if this machine has none.
postgres:
	@.ci/install-postgres
