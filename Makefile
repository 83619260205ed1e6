# Every target sets up what it needs, once, in .venv. Assumed: Python 3.11 or newer with pip and venv.
#   make test                  all tests
#   make demo                  the demonstration; on your own weekly file: make demo CSV=my.csv [SPEND=tv,radio]
#   make lint | bench          ruff and mypy | speed and memory
#   make evidence              engines against NumPyro and their calibration, anew into docs/engines.md, and the
#                              optimum beside an independent search and SLSQP, into docs/optimum.md: some hours
#   make speed                 fits a minute beside PyMC-Marketing (after make peers), anew into docs/engines.md
#   make readme                put what `make demo` and `make test` print into README.md
#   make lock                  renew constraints.txt from the newest versions that resolve
#   make peers                 install the libraries of benchmarks/peers and make the file anew that tests compare with

SHELL := bash
.DEFAULT_GOAL := test
.DELETE_ON_ERROR:
.PHONY: test demo lint bench evidence speed readme lock peers clean

# The first interpreter that is new enough; `make PYTHON=... test` overrides.
PYTHON ?= $(shell for p in python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --compile
# Byte-code makes every later start several times quicker; tables keep one width on every terminal.
unexport PYTHONDONTWRITEBYTECODE
export COLUMNS := 100

test: .venv/.installed-test
	@mkdir -p .cache
	set -o pipefail; $(BIN)/python -m pytest -q -n 2 --dist worksteal $(ARGS) | tee .cache/test.txt

demo: .venv/.installed-test
	@mkdir -p .cache
	set -o pipefail; $(BIN)/simbench demo $(if $(CSV),--csv "$(CSV)" $(if $(SPEND),--columns "$(SPEND)"),| tee .cache/demo.txt)

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.installed-test
	$(BIN)/python -m pytest -q --benchmark-enable $(ARGS) benchmarks

evidence: .venv/.installed-test
	$(BIN)/python -m benchmarks.evidence.referee --keep .cache/chains $(REFEREE)
	$(BIN)/python -m benchmarks.evidence.calibration $(CALIBRATION)
	$(BIN)/python -m benchmarks.evidence.trajectories --keep .cache/chains
	$(BIN)/python -m benchmarks.evidence.optimum_search
	$(BIN)/python -m benchmarks.evidence.optimum_search --shared
	$(BIN)/python -m benchmarks.allocations_table

speed: .venv/.installed-test
	$(BIN)/python -m pytest -q --benchmark-enable benchmarks/bench_engines.py
	$(BIN)/python benchmarks/speed_table.py
	$(BIN)/python -m benchmarks.evidence.cost

readme: demo
	$(BIN)/python tests/readme_samples.py write

lock:
	rm -rf .cache/lock
	"$(PYTHON)" -m venv .cache/lock
	.cache/lock/bin/python -m pip install --quiet --disable-pip-version-check ".[test,plot,dev]"
	@printf '# Exact versions of core, plot, test and dev on Python 3.11; written by `make lock`.\n' > constraints.txt
	.cache/lock/bin/python -m pip freeze --exclude simbench --exclude pip --exclude setuptools >> constraints.txt
	rm -rf .cache/lock

PEERS := .cache/peers
peers:
	benchmarks/peers/install.sh pymc-marketing
	benchmarks/peers/install.sh meridian
	$(PEERS)/pymc-marketing/bin/python benchmarks/peers/standard.py inputs $(PEERS)/data
	for library in pymc-marketing meridian; do \
		$(PEERS)/$$library/bin/python benchmarks/peers/log_prior_$${library//-/_}.py \
			$(PEERS)/data/$$library.json $(PEERS)/data/$$library-answers.json || exit; \
	done
	$(PEERS)/pymc-marketing/bin/python benchmarks/peers/standard.py gather $(PEERS)/data tests/backends/peer_log_priors.json

clean:
	rm -rf .venv .cache build dist

.venv/bin/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "simbench needs Python 3.11 or newer; none was found. Name one: make PYTHON=/path/to/python3.11 test" >&2; \
		exit 2; fi
	@"$(PYTHON)" -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else \
		"simbench needs Python 3.11 or newer, $(PYTHON) is %d.%d: make PYTHON=/path/to/python3.11 test" % v[:2])'
	"$(PYTHON)" -m venv --clear .venv

.venv/.installed-test: pyproject.toml constraints.txt | .venv/bin/python
	$(PIP) -c constraints.txt -e ".[test,plot]"
	@touch $@

.venv/.installed-dev: pyproject.toml constraints.txt .venv/.installed-test
	$(PIP) -c constraints.txt -e ".[test,plot,dev]"
	@touch $@
