# Two commands matter: `make demo` sets up and runs the main job, `make test` sets up and passes the tests.
# Both install what they need, say what they install, and work a second time in seconds.
SHELL := /bin/sh
python := .venv/bin/python
environment := . ./.tools/environment &&
members := verifier hsm server ca ra pmi supervision testkit
DATA ?= data
SECONDS ?= 120
# Everything that the CA signs while the tests run, for other implementations to judge.
collected := .tools/collected

.PHONY: help demo up test check tests second-opinions soak sweep bench conformance fuzz api sbom requirements clean

help:
	@echo "make demo    set up, and run the whole mission once: three CAs, one identity, every department"
	@echo "make up      set up, and start the system for use on this machine (data in ./$(DATA))"
	@echo "make test    set up, and pass every check and test"
	@echo "make second-opinions   pkilint, openssl, GnuTLS and Bouncy Castle on all that the CA signed in the last tests"
	@echo "make soak    the long load and crash tests in full"
	@echo "make sweep   a fault at every place where something becomes lasting, on both databases"
	@echo "make bench   measure; ONLY=prefix for some rows; writes bench/results.json"
	@echo "make conformance VECTORS=folder   the verifier against published suites"
	@echo "make fuzz    the verifier under hostile bytes for SECONDS=$(SECONDS), all targets together"
	@echo "make api     write the verifier's API reference and list of error codes anew"
	@echo "make sbom    list what is installed, as CycloneDX, in onecert.cdx.json"
	@echo "make requirements   pin the newest packages again"
	@echo "make clean   remove what the set-up made (not your data)"

demo:
	@deploy/setup.sh run
	@$(environment) $(python) demo story

up:
	@deploy/setup.sh run
	@$(environment) exec $(python) demo up --data $(DATA)

test:
	@deploy/setup.sh test
	@$(MAKE) --no-print-directory check tests second-opinions
	@$(environment) $(python) fuzz run --seconds 30

check:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache

tests:
	@rm -rf $(collected)
# Hundreds of processes of ours are started; where PYTHONDONTWRITEBYTECODE is set, each would compile them anew.
	@$(python) -m compileall -q -j 2 $(members)
# One more than CI's two cores: a fifth of the time a test waits for a process, a port or a disk.
	@$(environment) COLLECT_SIGNED=$(collected) .venv/bin/pytest -n 3 $(PYTEST)

second-opinions:
	@$(environment) $(python) tests/second_opinions $(collected) --json .tools/second-opinions.json

soak:
	@deploy/setup.sh test
	@$(environment) ONECERT_SOAK_SIGNATURES=100000 SOAK_KILLS=200 .venv/bin/pytest -m soak -n 0 -s --timeout 5400 $(PYTEST)

sweep:
	@deploy/setup.sh test
	@$(environment) $(python) tests/sweep --engine both $(SWEEP)

bench:
	@deploy/setup.sh test
	@deploy/peers.sh || echo "bench: without django-ca"
	@$(environment) $(python) bench --only "$(ONLY)" --out bench/results.json

conformance:
	@deploy/setup.sh test
	@$(environment) $(python) tests/conformance $(VECTORS)

fuzz:
	@deploy/setup.sh test
	@$(environment) $(python) fuzz run --seconds $(SECONDS) $(TARGETS)

api:
	@deploy/setup.sh test
	@$(python) docs/make_api.py
	@$(python) docs/make_errors.py

sbom:
	@deploy/setup.sh run
	@$(environment) $(python) deploy/sbom.py --out onecert.cdx.json

requirements:
	@deploy/setup.sh test
	@deploy/pin.sh

clean:
	rm -rf .venv .tools build
