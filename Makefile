# Two commands matter: `make lab` opens the notebooks, `make test` runs everything CI runs.
# Written for GNU make 3.81 and later (macOS still ships 3.81). Overridable: PYTHON=, VENV=, LAB_ARGS=.

VENV ?= .venv
# What tests compare with and nothing else may find; see CONTRIBUTING.md.
PEERS := torchao==0.18.0
BIN := $(VENV)/bin
COLAB ?= .venv-colab
AUDIT ?= .venv-audit
DOCS ?= .venv-docs
OLDEST ?= .venv-oldest
NEWEST ?= .venv-newest
OLDEST_PYTHON ?= python3.11
NEWEST_PYTHON ?= python3.13
# One test asks after the packages of constraints.txt, which are not installed there.
OTHER_PINS = --deselect tests/test_environment.py::test_every_pin_installs_on_the_first_release_of_each_python

# The first Python between 3.11 and 3.13 that really starts: a pyenv shim may exist without its version.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 \
	&& command -v $$p && break; done)

NOTEBOOK ?= notebooks/00_start_here.ipynb
# The recipes' files, for `make nano`; without them the Hub's sets are taken.
FILES = $(if $(DATA),--data-dir $(DATA))
# Jupyter refuses to start as root (the usual user in a container) unless told; it listens on 127.0.0.1 only.
ROOT_ARGS = $(if $(filter 0,$(shell id -u)),--allow-root)
# Two kernels at work would spin for each other's cores otherwise (docs/scaling.md).
SPIN = GOMP_SPINCOUNT=$${GOMP_SPINCOUNT:-1000}

.DEFAULT_GOAL := help
.PHONY: help lab setup test bench test-browser test-colab test-faults test-oldest test-newest audit lint format nano notebooks docs urls constraints clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
	@echo '  options: PYTHON=python3.12  NOTEBOOK=notebooks/NN_name.ipynb  LAB_ARGS="--no-browser --port=8899"  DATA=folder'

lab: $(VENV)/.lab ## install what the notebooks need (first call only) and open JupyterLab
	$(SPIN) $(BIN)/jupyter lab --ip=127.0.0.1 --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/$(NOTEBOOK) $(ROOT_ARGS) $(LAB_ARGS)

setup: $(VENV)/.all ## install everything: notebooks, evaluation, export, tests

test: $(VENV)/.all ## what CI runs first, cheapest first; test-colab and test-browser follow there
	$(BIN)/python tools/checks.py

test-browser: $(VENV)/.all ## the widgets in JupyterLab in a real Chrome or Chromium, which must be there
	$(BIN)/python -m pytest -q tests/browser --durations=10

test-colab: $(COLAB)/.ready ## the widgets and two notebooks with the older widget packages that Colab ships
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(COLAB)/bin/python -m pytest -q -p no:cacheprovider tests/explore egemma_lab/explore
	$(COLAB)/bin/python tools/run_notebooks.py 00_start_here 01_embeddings_and_their_geometry

test-faults: $(VENV)/.all ## kill -9 at random moments of training, cache, export and experiments; takes minutes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -p no:cacheprovider tests/faults --timeout=1800 --durations=10

test-oldest: $(OLDEST)/.ready ## the tests on Python 3.11 with the oldest versions that pyproject.toml allows the core
	OMP_NUM_THREADS=1 $(OLDEST)/bin/python -m pytest -q -p no:cacheprovider $(OTHER_PINS)

test-newest: $(NEWEST)/.ready ## the tests on Python 3.13 with the newest versions that pyproject.toml allows
	OMP_NUM_THREADS=1 $(NEWEST)/bin/python -m pytest -q -p no:cacheprovider $(OTHER_PINS)

audit: ## known vulnerabilities of the pinned versions, in an environment of its own; fails where PyPI does not answer
	test -x $(AUDIT)/bin/pip-audit || { $(PYTHON) -m venv $(AUDIT) && $(AUDIT)/bin/python -m pip install -q pip-audit; }
	$(AUDIT)/bin/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip \
		$$(sed -n 's/^\([A-Za-z][A-Za-z0-9-]*\).*/--ignore-vuln \1/p' audit-exceptions.txt)

lint: $(VENV)/.all ## formatting, lint, import direction, notebooks as they stand; runs no notebook
	$(BIN)/python tools/checks.py format lint imports static addresses

format: $(VENV)/.all ## format and fix what can be fixed, then carry the scripts over into the notebooks
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python tools/notebooks.py sync

nano: $(VENV)/.all ## the bundled nano from raw text in under two hours, resumed where it was stopped: DATA=folder
	$(BIN)/egemma-lab make experiments/nano/recipe.yaml --output runs/nano $(FILES)

notebooks: $(VENV)/.all ## scripts -> notebooks, executed in full, with static pictures
	$(BIN)/python tools/notebooks.py sync
	$(BIN)/python tools/notebooks.py execute

docs: $(VENV)/.all $(DOCS)/.ready ## the course and its pages as a site with search, in build/docs; runs no notebook
	rm -rf build/docs build/films
	$(BIN)/python tools/site_films.py build/films
	$(DOCS)/bin/python -m sphinx -q -W --keep-going -n -c docs . build/docs
	$(BIN)/python tools/check_site.py build/docs

bench: $(VENV)/.all ## what has a target for speed or memory, against its peers; writes benchmarks/README.md
	$(BIN)/python benchmarks/run.py

urls: $(VENV)/.all ## write the repository's address (pyproject.toml) into badges and install cells
	$(BIN)/python tools/urls.py

constraints: $(VENV)/.all ## resolve anew: constraints.txt and environment.yml with today's versions
	$(BIN)/python tools/constraints.py

clean: ## remove the environment and every cache; notebooks and runs stay
	rm -rf $(VENV) $(COLAB) $(DOCS) $(OLDEST) $(NEWEST) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pip appears last, so an interrupted or half-made environment is made again. Debian splits venv's pip off
# into python3-venv; where that is missing but pip itself is there, pip can install itself into the venv.
$(BIN)/pip:
	@test -n "$(PYTHON)" || { echo "no Python 3.11, 3.12 or 3.13 found; install one or name it: make lab PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install pip; } \
		|| { echo "$(PYTHON) cannot make a virtual environment; on Debian or Ubuntu: apt-get install python3-venv"; exit 1; }

# The stamps depend on what was asked for, so that a second call starts at once.
$(VENV)/.lab: pyproject.toml constraints.txt | $(BIN)/pip
	$(BIN)/pip install -c constraints.txt -e '.[lab]'
	$(BIN)/python -m ipykernel install --sys-prefix --name egemma-lab --display-name "Python (egemma-lab)"
	touch $@

$(VENV)/.all: pyproject.toml constraints.txt | $(BIN)/pip
	$(BIN)/pip install -c constraints.txt -e '.[all]'
	$(BIN)/pip install --no-deps --target $(VENV)/peers --upgrade $(PEERS)
	$(BIN)/python -m ipykernel install --sys-prefix --name egemma-lab --display-name "Python (egemma-lab)"
	touch $(VENV)/.lab $@

$(COLAB)/.ready: constraints-colab.txt tools/colab_env.py | $(VENV)/.all
	$(BIN)/python tools/colab_env.py $(COLAB)
	touch $@

# Each with everything of its own: nothing of these versions may be found from the other environments, nor theirs there.
$(OLDEST)/.ready: END = oldest
$(OLDEST)/.ready: WITH = $(OLDEST_PYTHON)
$(NEWEST)/.ready: END = newest
$(NEWEST)/.ready: WITH = $(NEWEST_PYTHON)
$(OLDEST)/.ready $(NEWEST)/.ready: pyproject.toml tools/bounds.py | $(VENV)/.all
	$(WITH) -m venv --clear $(@D)
	$(BIN)/python tools/bounds.py $(END) > $(@D)/constraints.txt
	$(@D)/bin/python -m pip install --quiet --upgrade pip
	$(@D)/bin/python -m pip install --quiet -c $(@D)/constraints.txt -e '.[all]'
	$(@D)/bin/python -m pip install --quiet --no-deps --target $(@D)/peers $(PEERS)
	$(@D)/bin/python -m ipykernel install --sys-prefix --name egemma-lab --display-name "Python (egemma-lab)"
	touch $@

# The site's tools lie apart: they bring versions of their own, and the lab needs none of them.
$(DOCS)/.ready: constraints-docs.txt | $(BIN)/pip
	$(BIN)/python -m venv --without-pip $(DOCS)
	$(BIN)/pip --python $(DOCS)/bin/python install --no-deps -r constraints-docs.txt
	touch $@
