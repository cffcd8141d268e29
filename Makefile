# Each target sets up what it needs by itself; nothing has to be installed first but python3.11 (and npm for the
# Node CSMS, whose tests are skipped with a reason where npm is missing).

PYTHON ?= python3.11
BIN    := .venv/bin
VENV   := .venv/.installed
NODE   := tests/interop/node_modules/.installed
GENERATORS := $(filter-out __init__,$(basename $(notdir $(wildcard docs/generate/*.py))))

# As on a board, where the package is installed: hundreds of processes start, and none compiles its modules again.
COMPILE := $(BIN)/python -m compileall -q -j 2 agent config_keys hal hil state_machines tests

.PHONY: demo test proven soak docs check stale bench lint types tools clean

# CSMS=ws://host:port/path for your own, with IDENTITY=, PASSWORD= (read from the environment, so that it is not shown)
# and CARDS=uid,uid when it wants them.
demo: $(VENV)
	@$(COMPILE)
	@$(BIN)/python -m hil demo $(if $(CSMS),--csms '$(CSMS)') $(if $(IDENTITY),--identity '$(IDENTITY)') \
	  $(if $(CARDS),--cards '$(CARDS)')

test: $(VENV) $(NODE) tools
	@$(COMPILE)
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder --passed $(PASSED)

# What the documents claim was in a test that has passed, in the last `make test`.
PASSED := build/passed.json
proven: $(VENV)
	$(BIN)/python -m docs.generate.requirements --passed $(PASSED)

# Long runs: SEEDS more simulated weeks (they accumulate in docs/soak.json), so many phase switches among faults, then
# the long tests of the real process.
SEEDS ?= 100
MOVES ?= 1000
soak: $(VENV) $(NODE) tools
	$(BIN)/python -m tests.sim.soak --seeds $(SEEDS)
	$(BIN)/python -m tests.sim.phase_stories --moves $(MOVES)
	$(BIN)/pytest -n 2 --dist loadfile -m soak

docs: $(VENV)
	for name in $(GENERATORS); do $(BIN)/python -m docs.generate.$$name || exit 1; done

check: lint types stale

lint: $(VENV)
	$(BIN)/ruff check .

types: $(VENV)
	$(BIN)/mypy

stale: $(VENV)
	for name in $(GENERATORS); do $(BIN)/python -m docs.generate.$$name --check || exit 1; done

bench: $(VENV)
	$(BIN)/python -m benchmarks

# mbpoll, an independent Modbus client, and RAUC; their tests are skipped with a reason where they cannot be installed.
tools:
	@command -v mbpoll >/dev/null || [ "$$(id -u)" != 0 ] || \
	  { apt-get update -qq && apt-get install -y -qq mbpoll >/dev/null; } || echo "mbpoll could not be installed"
	@command -v rauc >/dev/null || [ "$$(id -u)" != 0 ] || \
	  { apt-get update -qq && apt-get install -y -qq rauc dbus squashfs-tools >/dev/null; } || echo "RAUC could not be installed"

$(VENV): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench,sftp,test]' --config-settings editable_mode=compat
	touch $@

$(NODE): tests/interop/package-lock.json
	@if command -v npm >/dev/null; then cd tests/interop && npm ci --no-audit --no-fund --silent; \
	  else echo "npm is missing: the Node CSMS tests will be skipped"; mkdir -p tests/interop/node_modules; fi
	touch $@

clean:
	rm -rf .venv tests/interop/node_modules build *.egg-info
