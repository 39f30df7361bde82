# The two main commands are `make demo` and `make test`. They install their packages only into folders below this one.

PYTHON  ?= python3
SWAGGER := swagger-ui-dist@5.35.0

VENV  := .venv
TOOLS := .tools
BIN   := $(VENV)/bin
PIP   := -m pip install -qq --no-input --disable-pip-version-check
LAYER := layers/lightspeed/requirements.txt
PAGE  := functions/subscribe/docs
CODE  := functions layers tests

export PYTHONPATH := functions:layers/lightspeed
export SAM_CLI_TELEMETRY := 0

.DEFAULT_GOAL := help
.PHONY: help demo stop invoke connector shop test soak install format lint type lock openapi sbom schemas swagger-ui template unit integration property e2e coverage bench mutants fuzz build runtime-python clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/demo.stamp ## Run the connector's main job on this machine, end to end (KEEP=1 leaves it running, PORT=4566 SHOP_PORT=8080)
	@$(BIN)/python -m tests.local demo $(if $(KEEP),--keep) $(if $(PORT),--port $(PORT)) $(if $(SHOP_PORT),--shop-port $(SHOP_PORT))

stop: $(VENV)/demo.stamp ## Stop the kept demo (see `make demo KEEP=1`)
	@$(BIN)/python -m tests.local stop

invoke: $(VENV)/demo.stamp ## Send an event to the kept demo (EVENT=events/subscribe-direct-quote.json)
	@$(BIN)/python -m tests.local invoke $(or $(EVENT),events/subscribe-direct-quote.json)

connector: $(VENV)/demo.stamp ## Run `python -m connector` on the kept demo (ARGS="query orders_current")
	@$(BIN)/python -m tests.local connector $(ARGS)

shop: $(VENV)/demo.stamp ## Serve the simulated shop alone (SHOP_PORT=8080)
	@$(BIN)/python -m tests.shop --port $(or $(SHOP_PORT),8080)

test: lint type template $(TOOLS)/target.stamp ## Run every check and every test
	$(BIN)/pytest -n auto -m "not e2e and not soak"
	$(BIN)/pytest -m "e2e and not soak"

soak: $(VENV)/dev.stamp ## Search many seeds for broken promises (SEED=1000 MINUTES=60: start at that seed, search for an hour)
	$(BIN)/pytest -m soak $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES))

install: $(VENV)/dev.stamp $(TOOLS)/sam.stamp $(TOOLS)/target.stamp ## Install the packages for development and tests

format: $(VENV)/dev.stamp ## Format the code
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

lint: $(VENV)/dev.stamp ## Check style, formatting and the direction of imports
	$(BIN)/lint-imports --no-logo
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)

type: $(VENV)/dev.stamp ## Check types
	$(BIN)/mypy

lock: $(TOOLS)/sam.stamp ## Write requirements*.txt with the hashes of every package (after a change of a .in file)
	@for file in $(LAYER) layers/lightspeed/requirements-client.txt requirements-operator.txt requirements-demo.txt requirements-dev.txt requirements-target.txt requirements-sbom.txt requirements-tools.txt; do $(TOOLS)/bin/uv pip compile --quiet --universal --no-deps \
	  --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" $${file%.txt}.in -o $$file; done

openapi: $(VENV)/dev.stamp ## Write the OpenAPI document of the HTTP API
	$(BIN)/python -m tests.openapi

sbom: $(TOOLS)/sbom.stamp ## Write the list of shipped packages with their licences (CycloneDX)
	@$(TOOLS)/sbom/bin/python tests/sbom.py

schemas: $(VENV)/dev.stamp ## Write the JSON Schemas of the sample payloads
	$(BIN)/python -m tests.schemas

swagger-ui: ## Fetch the files of the page GET /docs (needs npm)
	@folder=$$(mktemp -d) && cd $$folder && npm pack --silent $(SWAGGER) >/dev/null && tar xzf *.tgz && cd package && \
	  for name in swagger-ui-bundle.js swagger-ui.css; do gzip -9nc $$name > "$(CURDIR)/$(PAGE)/$$name.gz"; done && \
	  cp LICENSE "$(CURDIR)/$(PAGE)/swagger-ui.LICENSE" && cp NOTICE "$(CURDIR)/$(PAGE)/swagger-ui.NOTICE" && \
	  cp swagger-ui-bundle.js.LICENSE.txt "$(CURDIR)/$(PAGE)/" && rm -r $$folder

template: $(TOOLS)/sam.stamp ## Check template.yaml
	$(TOOLS)/bin/cfn-lint template.yaml
	$(TOOLS)/bin/sam validate --lint

unit: $(VENV)/dev.stamp ## Test functions and modules, without network or AWS
	$(BIN)/pytest tests/unit -m "not soak"

integration: $(VENV)/dev.stamp $(TOOLS)/target.stamp ## Test the client and the handlers against the simulated shop
	$(BIN)/pytest tests/integration -m "not soak"

property: $(VENV)/dev.stamp ## Test the promises of a run: random shops, changes, kills, and a day of quota
	$(BIN)/pytest tests/property -m "not soak"

e2e: $(VENV)/dev.stamp ## Test the deployed stack on the local emulator
	$(BIN)/pytest tests/e2e

coverage: $(VENV)/dev.stamp $(TOOLS)/target.stamp ## Measure the coverage of the tests, except those that use a signal: coverage's lock does not survive one
	$(BIN)/coverage run -m pytest -m "not e2e" --ignore tests/property --ignore tests/unit/connector/transform
	$(BIN)/coverage report

bench: $(VENV)/dev.stamp ## Measure against a plain loop, ten minutes (ARGS="--quick", ARGS="--against HEAD~20")
	$(BIN)/python -m tests.bench $(ARGS)

mutants: $(VENV)/dev.stamp ## Count small changes of the core that no test notices, ten minutes (ARGS="listing --seed 7 --minutes 5")
	$(BIN)/python -m tests.mutants $(ARGS)

fuzz: $(VENV)/dev.stamp ## Try random transformers for three minutes (ARGS="--seconds 60 --seed 7")
	$(BIN)/python -m tests.fuzz $(or $(ARGS),--seconds 180 --seed 1)

build: runtime-python $(TOOLS)/sam.stamp ## Build for Lambda, with compiled modules, ready for `sam deploy`
	$(TOOLS)/bin/sam build
	python3.13 -m compileall -q --invalidation-mode unchecked-hash .aws-sam/build

runtime-python: # fails before anything is installed
	@python3.13 --version >/dev/null 2>&1 || { \
	  echo "make build: no python3.13 on the PATH; install it, or run: sam build --use-container"; exit 1; }

clean: ## Remove everything that make installed or built
	rm -rf $(VENV) $(TOOLS) .local .aws-sam .pytest_cache .mypy_cache .ruff_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/demo.stamp: requirements-demo.txt $(LAYER) | $(BIN)/python
	@echo "Installing what the demo needs into $(VENV) (half a minute, once) ..."
	@$(BIN)/python $(PIP) -r $(LAYER) -r requirements-demo.txt
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt requirements-demo.txt $(LAYER) | $(BIN)/python
	@echo "Installing what development needs into $(VENV) (a minute, once) ..."
	@$(BIN)/python $(PIP) -r $(LAYER) -r requirements-dev.txt
	@touch $(VENV)/demo.stamp $@

$(TOOLS)/sam.stamp: requirements-tools.txt | $(TOOLS)/bin/python # SAM CLI's own pins do not go together with the emulator's
	@echo "Installing the SAM CLI into $(TOOLS) (a minute, once) ..."
	@$(TOOLS)/bin/python $(PIP) --no-deps -r requirements-tools.txt
	@touch $@

$(TOOLS)/target.stamp: requirements-target.txt | $(TOOLS)/target/bin/python # nor do those of the Singer target
	@$(TOOLS)/target/bin/python $(PIP) -r requirements-target.txt
	@touch $@

$(TOOLS)/sbom.stamp: requirements-sbom.txt | $(TOOLS)/sbom/bin/python # nor those of cyclonedx-py
	@$(TOOLS)/sbom/bin/python $(PIP) -r requirements-sbom.txt
	@touch $@

$(BIN)/python $(TOOLS)/bin/python $(TOOLS)/target/bin/python $(TOOLS)/sbom/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not installed; say which Python to use: PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: Python 3.11 or newer is needed and $(PYTHON) is older; say which Python to use: PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(@:/bin/python=) >/dev/null || { \
	  rm -rf $(@:/bin/python=); echo "make: $(PYTHON) cannot create a virtual environment (Debian: apt install python3-venv)"; exit 1; }
