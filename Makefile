# Tertium. `make help` lists what there is to make.
PYTHON ?= python3
VENV := .venv/bin
export PYTHONPATH := server:protocol
# A file of tests is a process's own. One process more than there are cores, since many tests wait for a clock; more than four would fill the memory
# with models.
SIDE_BY_SIDE = -n $(shell $(PYTHON) -c 'import os; print(min(4, (os.cpu_count() or 1) + 1))') --dist loadfile
MINUTES ?= 5
WORK ?= work-pocket
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast lint format bench soak report embedding wheel device lock docs pocket clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## Make .venv with everything that the other targets need
	@tools/setup

demo: setup  ## Fuse two recordings over OSC and over ZeroMQ, into demo/
	@$(VENV)/python -m tertium.cli.demo --out demo

test: setup  ## Pass all tests; says which were skipped, and why
	@$(VENV)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

test-fast: setup  ## Pass the tests that need no daemon, no training and no other language (a minute)
	@$(VENV)/python -m pytest $(SIDE_BY_SIDE) -m "not slow" $(ARGS)

lint: setup  ## Check style and the walls between the rooms
	@$(VENV)/ruff check . && $(VENV)/ruff format --check . && $(VENV)/lint-imports

format: setup  ## Format the Python code
	@$(VENV)/ruff format . && $(VENV)/ruff check --fix .

bench: setup  ## Time a fusion against stable-audio-tools' audio-to-audio, as a ratio
	@$(VENV)/python -m benchmarks.fuse

soak: setup  ## Hold the daemon to its promises under everything at once (MINUTES=5, ARGS='--engine pocket')
	@$(VENV)/python -m benchmarks.soak $(MINUTES) $(ARGS)

report: setup  ## Measure the method's claims, with figures, into report/ (about half an hour on two idle cores)
	@$(VENV)/python -m evaluation $(ARGS)

embedding: setup  ## Install the pretrained embedding that the report uses if it is there (25 MB, CC BY 4.0)
	@$(PYTHON) -m pip --python $(VENV)/python install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/report.txt

docs: setup  ## Write anew what is made of the command table: PROTOCOL.md, the Quark's methods, the device's protocol.js
	@$(VENV)/python -m tertium_protocol.document
	@$(VENV)/python supercollider/quark.py
	@$(VENV)/python -m max_for_live.build.protocol_table

wheel: setup  ## Build the wheels of the daemon and of the protocol into dist/
	@tools/wheel

device: setup  ## Build the Max for Live device into max_for_live/dist/ (ARGS=--picture draws its panel too)
	@$(VENV)/python -m max_for_live.build $(ARGS)

lock:  ## Resolve the dependencies anew into requirements/locked.txt
	@tools/lock

pocket: setup  ## Train the pocket model from scratch in WORK, or continue (hours; see server/pocket/README.md)
	@$(VENV)/python -m pocket $(WORK) $(ARGS)

clean:  ## Remove what was made, but not .venv
	rm -rf demo dist build .pytest_cache .ruff_cache
