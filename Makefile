# make run    install, then the main job: data set -> TFX pipeline -> pushed model -> gRPC -> saccade sheet
# make test   install, then lint, types and tests (under 15 minutes on 2 cores)
# make help   everything else

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIPELINE ?= two_digit_mnist

export TF_CPP_MIN_LOG_LEVEL ?= 3
export UV_LINK_MODE ?= copy

.PHONY: help
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(STAMP): requirements/lock.txt requirements/installer.txt setup.py tools/install.sh
	@bash tools/install.sh $(VENV)

.PHONY: install
install: $(STAMP) ## everything, into .venv

.PHONY: run
run: $(STAMP) ## the main job; PIPELINE=megapixel_mnist, PIPELINE=starcraft2, PIPELINE=adobe5k DATA=/path/to/fivek, PIPELINE=speed_limits DATA=/path/to/gtsdb, DIGITS=mnist, MNIST_NPZ=path
	@$(BIN)/python -m pipelines.run $(PIPELINE) $(if $(DATA),--data "$(DATA)") $(if $(MNIST_NPZ),--digits "$(MNIST_NPZ)",$(if $(DIGITS),--digits "$(DIGITS)"))

.PHONY: lint
lint: $(STAMP) ## ruff and mypy
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: test
test: lint ## lint, types, and every test that is neither slow nor end to end
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist worksteal -m "not slow and not e2e" $(TESTS)

.PHONY: slow
slow: $(STAMP) ## the slow tests
	@$(BIN)/python -m pytest -q -m "slow and not e2e" --timeout=1800 $(TESTS)

.PHONY: e2e
e2e: $(STAMP) ## whole pipelines through the command line
	@$(BIN)/python -m pytest -q -m e2e --timeout=2400 $(TESTS)

.PHONY: clients
clients: $(STAMP) ## the example clients in Go, Java and Node, where their tools are installed
	@$(BIN)/python -m pytest -q -m slow --timeout=1800 tests/server/test_other_languages.py

.PHONY: kubeflow
kubeflow: $(STAMP) ## compiles a pipeline for Kubeflow and Vertex AI, in an environment of its own
	@bash tools/beside.sh $(VENV) kubeflow tests/pipelines/test_vertex.py

.PHONY: starcraft
starcraft: $(STAMP) ## tests the recorder of StarCraft II with pysc2, in an environment of its own
	@bash tools/beside.sh $(VENV) starcraft tests/datasets/test_starcraft2_record.py

.PHONY: test-core
test-core: ## the library's own tests without TFX or Beam: make test-core PYTHON=python3.12
	@bash tools/test_core.sh "$(or $(PYTHON),python3.12)"

.PHONY: docs
docs: $(STAMP) ## the documentation as a site, into build/site; a warning is an error
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps -r requirements/docs.txt
	DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build -q --strict

.PHONY: lock
lock: $(STAMP) ## resolve requirements/lock.txt again (keeps what it can)
	@$(BIN)/uv pip compile setup.py --extra tfx --extra serving --extra test --extra raw --extra slides --extra imagenet --extra s3 --extra gcs --extra tfx-s3 -c requirements/constraints.txt \
	  --python-version 3.10 --no-header --no-annotate -o requirements/lock.txt

.PHONY: clean
clean: ## remove what make run made; keeps .venv
	@rm -rf runs
