# make demo [ARGS=--once]   a cluster of three nodes on this machine, with the web pages
# make test                 everything: lint, types, import contracts, all tests
# make bench                what nodes, addresses and names cost beside what others need, as ratios of one run;
#                           it fails when one is not what it must be
# make lint                 without root: style, types, import contracts
# Every target sets up what it needs; `make test` runs its parts two at a time.

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
SANDBOX := $(BIN)/python -m lab.sandbox --
# The first one may build a kernel for minutes, behind all others.
PARTS := test-umlinux check-lint check-types check-contracts check-django \
         test-units test-worker test-postgresql test-pages test-kernel test-dns test-lab

.PHONY: demo test bench lint setup-run setup-test setup-bench $(PARTS)

demo: setup-run
	@exec $(BIN)/python -m lab.demo $(ARGS)

test: setup-test
	@$(MAKE) --no-print-directory -j2 --output-sync=target --keep-going $(PARTS)

bench: setup-bench
	@$(BIN)/python -m bench

lint: check-lint check-types check-contracts

setup-run:
	@deploy/setup.sh run

setup-bench:
	@deploy/setup.sh bench

setup-test:
	@deploy/setup.sh test

check-lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check-types:
	$(BIN)/mypy netadmin networks nodes workers lab bench

check-contracts:
	$(BIN)/lint-imports

check-django:
	directory=$$(mktemp -d) && trap 'rm -rf "$$directory"' EXIT && export NETADMIN_DATA_DIR="$$directory" && \
	$(BIN)/python manage.py makemigrations --check --dry-run && \
	$(BIN)/python manage.py check --fail-level WARNING && \
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null

test-units:
	$(PYTEST) -m "not tunnel" tests/pure tests/networks tests/api tests/commands tests/umlinux

test-postgresql:
	$(BIN)/python -m tests.postgres -- $(PYTEST) tests/networks tests/api tests/pages/test_nonsense.py

test-pages:
	$(PYTEST) tests/pages

# These make devices, routes and firewall rules: in network namespaces of their own.
test-worker:
	$(SANDBOX) $(PYTEST) tests/worker

test-kernel:
	$(SANDBOX) $(PYTEST) -m "not tunnel" tests/kernel

test-dns:
	$(SANDBOX) $(PYTEST) tests/dns
	$(SANDBOX) $(BIN)/python -m tests.postgres --socket -- $(PYTEST) tests/dns/test_changes.py tests/dns/test_transfers.py

test-lab:
	$(SANDBOX) $(PYTEST) -m "not tunnel" tests/lab

# What needs tunnel devices: here if this kernel makes them, else in one boot of a user-mode kernel,
# which is built once into ~/.cache/netadmin.
test-umlinux:
	$(BIN)/python -m tests.umlinux.build
	$(SANDBOX) $(PYTEST) -m tunnel tests/umlinux tests/kernel
