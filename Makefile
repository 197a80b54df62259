# Everything a newcomer runs. Needs make (3.81 or later) and either uv or a Python 3 with pip, which then fetches uv.

ARGS =
PYTHON = python3
UV := $(shell command -v uv || echo .tools/bin/uv)
PY := .venv/bin/python
INSTALLED := .venv/.installed
# DuckDB's server for a team's lab comes as a package for DuckDB 1.5 alone; what stands here hides the 2.0 beside it.
TEAM := .venv/team
OLD := .tools/lowest
RANGE := $(shell sed -n 's/^requires-python = "\(.*\)"/\1/p' pyproject.toml)
LOWEST := $(shell sed -n 's/^requires-python = ">=\([0-9.]*\).*/\1/p' pyproject.toml)
# The environment is made anew where its interpreter has vanished or the checkout has moved.
STALE := $(shell test -x $(PY) && test "$$(cat $(INSTALLED) 2>&1)" = "$(CURDIR)" || echo stale)
# Nothing leaves the machine unasked: JupyterLab neither fetches news nor looks for a newer version of itself.
QUIET := {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}

# Workers, kernels and children import the same modules: what the first has compiled serves the others.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help lab test check docs bench data lock lowest stale

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' Makefile

# Trusted, because a chat that is not comes back as plain text when the page is loaded anew.
lab: $(INSTALLED) ## Open JupyterLab on the chat; on a remote machine: make lab ARGS=--no-browser
	@$(PY) -m jupyter trust notebooks/*.ipynb
	$(PY) -m jupyterlab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks/01_chat.ipynb \
	$(if $(filter 0,$(shell id -u)),--allow-root) $(ARGS)

test: $(INSTALLED) $(TEAM)/.installed ## Run every test: unit, property, notebooks, browser; some of them: make test ARGS='-k store'
	@chromium="$$($(PY) tests/chromium.py)" && GALLUMP_CHROMIUM="$$chromium" TQDM_DISABLE=1 $(PY) -m pytest notebooks tests \
	--nbval --nbval-current-env --numprocesses=logical --maxprocesses=4 --dist=loadscope --no-loadscope-reorder $(ARGS)

check: $(INSTALLED) ## Check style and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

docs: $(INSTALLED) ## Build the documentation's site from pages, notebooks and docstrings; a warning is an error
	$(PY) -m sphinx -q -W --keep-going -c docs . docs/_build/html $(ARGS)
	@echo "Open docs/_build/html/docs/index.html; to serve it: $(PY) -m http.server -d docs/_build/html, then /docs/"

bench: $(INSTALLED) ## Print the benchmarks' figures at small sizes; tests/benchmarks/README.md says how at large ones
	$(UV) pip install --quiet --python $(PY) --constraint requirements.lock --group bench
	@chromium="$$($(PY) tests/chromium.py)" && for file in tests/benchmarks/*.py; do \
	echo "$$file" && GALLUMP_CHROMIUM="$$chromium" $(PY) "$$file" || exit 1; done

data: | $(filter .tools/bin/uv,$(UV)) ## Build data/ again, byte for byte, from what it comes from
	$(UV) run --no-project --python '$(RANGE)' --with duckdb==2.0.0 --with bokeh_sampledata==2026.1 python data/make_bars.py
	$(UV) run --no-project --python '$(RANGE)' --with duckdb==2.0.0 python data/make_sample.py

lock: | $(filter .tools/bin/uv,$(UV)) ## Write requirements.lock from pyproject.toml; newer versions: make lock ARGS=--upgrade
	$(UV) pip compile pyproject.toml --quiet --universal --python-version $(LOWEST) --all-extras --group dev --generate-hashes \
	--no-emit-index-url --custom-compile-command 'make lock' --output-file requirements.lock $(ARGS)
	$(UV) pip compile tests/team/requirements.in --quiet --universal --python-version $(LOWEST) --generate-hashes \
	--no-emit-index-url --custom-compile-command 'make lock' --output-file tests/team/requirements.txt $(ARGS)

lowest: | $(filter .tools/bin/uv,$(UV)) ## Run the unit tests with the lowest versions that pyproject.toml allows
	$(UV) venv --quiet --clear --python $(LOWEST) $(OLD)
	$(UV) pip install --quiet --python $(OLD) --resolution lowest-direct --editable '.[excel,live,minilm]' --group test --group build
	TQDM_DISABLE=1 $(OLD)/bin/python -m pytest --ignore=tests/unit/test_docs.py --ignore=tests/unit/test_team.py tests/unit $(ARGS)

$(INSTALLED): Makefile pyproject.toml requirements.lock $(STALE) | $(filter .tools/bin/uv,$(UV))
	$(if $(STALE),$(UV) venv --quiet --clear --python '$(RANGE)' .venv)
	$(UV) pip sync --python $(PY) --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(PY) --no-deps --no-build-isolation --editable .
	@mkdir -p .venv/etc/jupyter/labconfig && echo '$(QUIET)' > .venv/etc/jupyter/labconfig/default_setting_overrides.json
	@echo '$(CURDIR)' > $@

$(TEAM)/.installed: tests/team/requirements.txt $(INSTALLED)
	rm -rf $(TEAM)
	$(UV) pip install --quiet --python $(PY) --target $(TEAM) --no-deps --require-hashes -r tests/team/requirements.txt
	@touch $@

.tools/bin/uv:
	@$(PYTHON) -m pip --version > /dev/null 2>&1 || { echo "$(PYTHON) has no pip to fetch uv with. Install pip" \
	"(Debian, Ubuntu, WSL: sudo apt install python3-pip; others: $(PYTHON) -m ensurepip) or uv itself, then make again." >&2; exit 1; }
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --target .tools uv
