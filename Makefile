# Classprint: everything that a user or a developer types. `make` alone lists it.
PYTHON  ?= python3
PROFILE ?= quick
DATA    ?=
RUN     ?=
WEIGHTS ?=
MODEL   ?=
CHECKPOINT ?=
RUNS    ?= runs
ARGS    ?=
PORT    ?= 8501
JOBS    ?= auto
SEEDS   ?=

VENV := .venv
BIN  := $(VENV)/bin
TRAINING = --profile="$(PROFILE)" --runs-dir="$(RUNS)" $(if $(DATA),--data="$(DATA)") $(if $(WEIGHTS),--weights="$(WEIGHTS)") $(if $(RUN),--run="$(RUN)") $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help setup setup-dashboard setup-dev compute record plan experiment dashboard demo analyse verify report figures docs bench test test-fast lint types format check clean

help: ## This list
	@echo "Classprint: train a network whose evidence can be seen, record all of it, look at it."
	@echo
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'
	@echo
	@echo "  PROFILE=quick|tiny|fast|grid|paper|baseline   DATA=phantom|tiny-imagenet|FOLDER|ARCHIVE   WEIGHTS=imagenet|none|FILE"
	@echo "  RUN=name   RUNS=folder of runs, or folders and URLs for the dashboard (a:s3://bucket/b)   PORT=8501 of the dashboard   JOBS=2 test processes   PYTHON=python3.12 for .venv"
	@echo "  SEEDS=3 trainings that differ in their seed alone: their spread is chance"
	@echo "  TORCH=cpu   the build of PyTorch without CUDA: several GB less to download (also cu128 and the like)"
	@echo "  ARGS='--set training.epochs=3'          any other option of python -m compute train (--help lists them)"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Classprint needs Python 3.11 or newer, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name another one: PYTHON=python3.12."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-dashboard: requirements-dashboard.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dashboard.txt
	@touch $@

$(VENV)/.installed: requirements.txt requirements-compute.txt $(VENV)/.installed-dashboard
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(TORCH),--extra-index-url "https://download.pytorch.org/whl/$(TORCH)") -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

setup: $(VENV)/.installed ## Create .venv and install the requirements (about three minutes, mostly PyTorch)

setup-dashboard: $(VENV)/.installed-dashboard ## The same without PyTorch: what the pages need (a minute)

setup-dev: $(VENV)/.installed-dev ## The same, with the requirements of tests and linters

compute: setup ## Train, record every epoch, analyse (profile quick unless PROFILE, DATA, RUN say otherwise); resumes
	$(BIN)/python -m compute train $(TRAINING) $(if $(SEEDS),--seeds=$(SEEDS))

ifneq ($(filter record,$(MAKECMDGOALS)),)  # before anything is installed
  $(if $(and $(MODEL),$(CHECKPOINT),$(DATA)),,$(error Name all three: make record MODEL=torchvision:resnet50 CHECKPOINT=best.pth DATA=photos/val))
endif

record: setup ## Record a trained network: MODEL, CHECKPOINT (files or a folder) and DATA; resumes
	$(BIN)/python -m compute record --model="$(MODEL)" --checkpoint $(CHECKPOINT) --data="$(DATA)" --runs-dir="$(RUNS)" $(if $(RUN),--run="$(RUN)") $(ARGS)

plan: setup ## Device, time and disk that compute would take, without starting it
	$(BIN)/python -m compute plan $(TRAINING) $(if $(SEEDS),--seeds=$(SEEDS))

experiment: setup ## Train, analyse, verify PROFILE on DATA, and write its tables to docs/results/RUN; resumes
	$(BIN)/python -m compute train $(TRAINING)
	$(BIN)/python -m bench results "$(RUNS)/$(or $(RUN),$(notdir $(basename $(PROFILE))))"

dashboard: setup-dashboard ## Open the dashboard over the runs in RUNS (folders or URLs, a colon between them); no PyTorch
	CLASSPRINT_RUNS="$(RUNS)" $(BIN)/python -m streamlit run dashboard/app.py --server.port $(PORT)

demo: setup-dashboard ## Open the dashboard over the small recorded run that comes with the repository; nothing is trained
	CLASSPRINT_RUNS=demo $(BIN)/python -m streamlit run dashboard/app.py --server.port $(PORT)

analyse: setup ## Recompute the cross-epoch analysis of RUN (learning, robustness, findings)
	$(BIN)/python -m compute analyse "$(RUNS)/$(or $(RUN),quick)"

verify: setup-dashboard ## Read every byte of RUN again and check it
	$(BIN)/python -m store verify "$(RUNS)/$(or $(RUN),quick)"

report: setup-dashboard ## Write one self-contained HTML file about RUN: report.html
	$(BIN)/python -m dashboard report "$(RUNS)/$(or $(RUN),quick)" -o report.html

figures: setup-dashboard ## Make the paper's table and figures of RUN as PDF, SVG and PNG: figures/RUN
	$(BIN)/python -m dashboard figures "$(RUNS)/$(or $(RUN),quick)" --out "figures/$(or $(RUN),quick)" $(ARGS)

docs: setup-dev ## Build the API reference from the docstrings: docs/api
	@# pdoc sees only the names that are loaded, and the package classprint loads most of its own when they are asked for.
	$(BIN)/python -c 'from classprint import *; from pdoc.__main__ import cli; cli()' classprint classprint.plots store.queries \
	  compute.recording.recorder compute.recording.predictions compute.models.adoption -o docs/api --docformat google

test: setup-dev ## All tests (those in a browser need Chromium and are skipped without it)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

test-fast: setup-dev ## The tests without the slow ones and the browser
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow and not browser" $(ARGS)

lint: setup-dev types ## Style and layout (ruff), import contracts, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: setup-dev ## Types alone (mypy)
	$(BIN)/python -m mypy classprint store compute dashboard bench

format: setup-dev ## Let ruff format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup-dev ## Measure store, compute and dashboard beside their alternatives; writes docs/benchmarks.md
	$(BIN)/python -m bench $(ARGS)

check: lint test ## What CI runs

clean: ## Remove caches and .venv, never runs or data
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
