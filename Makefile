# Every verb installs what it needs into .venv first; a stamp file makes repeats quick.
# Another interpreter: make test PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# A run is never written over another.
RUN_DIR ?= runs/$(shell date +%Y%m%d-%H%M%S)
RUN_DIR := $(RUN_DIR)

# Worker threads of OpenMP that spin while they wait starve the other core of a small machine.
export OMP_WAIT_POLICY := PASSIVE

.DEFAULT_GOAL := help
.PHONY: help install run test test-slow test-live lint format bench policies results leaderboard docs clean

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("maestro-gym needs Python 3.11 or newer; set PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV), about a minute ..."
	$(BIN)/python -m pip install -qq --editable '.[dev]' --constraint constraints.txt
	@touch $@

install: $(STAMP) ## make .venv and install the project with the tested versions

run: $(STAMP) ## search a policy for some minutes, compare it with Maestro and its rivals, end with table and report
	$(BIN)/maestro-gym search --config quick --out $(RUN_DIR)/found
	$(BIN)/maestro-gym compare --scenario quick --contention high --seeds 100-119 --reference maestro --out $(RUN_DIR)/compare \
		--policy $(RUN_DIR)/found,maestro,edf+maestro,srtf+maestro,warm-jsq+maestro,fcfs,random

test: $(STAMP) ## run the tests on two cores, but for the slow ones
	$(BIN)/maestro-gym doctor
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-slow: $(STAMP) ## run the tests that take more than 20 seconds each
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

test-live: $(STAMP) ## run the tests on real vLLM servers: install vLLM (2.5 GB, the first time), start two, test, stop them
	MAESTRO_LIVE=1 $(BIN)/python -m pytest tests/live

lint: $(STAMP) ## ruff, its formatter and pyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(STAMP) ## let ruff put code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## measure the simulator's speed, and hold it against the reference on 2,000 scenarios
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/differential.py --scenarios 2000

policies: $(STAMP) ## search the shipped policies again and write their cards (hours; goes on where it stopped)
	$(BIN)/python benchmarks/policies.py

results: $(STAMP) ## run the comparisons of the docs again and write their tables (hours; goes on where it stopped); TRACES=FOLDER adds public traces
	$(BIN)/python benchmarks/results.py $(if $(TRACES),--traces $(TRACES))

leaderboard: $(STAMP) ## run the shipped policies on all benchmarks, keep records that stand, write docs/leaderboard.md; TRACES=FOLDER adds public traces
	$(BIN)/maestro-gym benchmark run all --keep --out benchmarks/records $(if $(TRACES),--traces $(TRACES))
	$(BIN)/maestro-gym benchmark leaderboard benchmarks/records --out docs/leaderboard.md
	$(BIN)/python docs/make_picture.py

docs: $(STAMP) ## write the pages of docs that the code itself can tell, and build the site into build/site
	$(BIN)/python docs/make_reference.py
	$(BIN)/python docs/make_site.py --run-notebooks

clean: ## remove .venv, caches and build outputs; runs/ and vLLM's environment stay
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
