# Every target sets up what it needs; each stamp file below is remade when pyproject.toml changes.
PYTHON ?= python3
PYTHON_OLDEST ?= python3.11
BIN := .venv/bin
OLDEST := .venv-oldest/bin
PYTEST_ARGS ?= -n 2

.PHONY: demo test test-oldest lint rivals clean

demo: .venv/.demo  ## compare skfm with scikit-learn on Adult; writes examples/output/
	$(BIN)/python examples/adult.py

test: lint  ## everything that must pass before a commit
	$(BIN)/python -m pytest $(PYTEST_ARGS) --doctest-modules skfm tests

test-oldest: .venv-oldest/.test  ## the same tests on the lowest versions that pyproject.toml allows
	$(OLDEST)/python -m pytest $(PYTEST_ARGS) --doctest-modules skfm tests

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy skfm tools
	$(BIN)/python -m tools.signatures --check

# xLearn is built from source, which takes minutes and a C++ compiler, and its set-up asks for a user's name.
rivals: benchmarks/rivals/requirements.txt  ## other libraries for the benchmarks, in .venv-rivals
	$(PYTHON) -m venv .venv-rivals
	USER=$${USER:-user} .venv-rivals/bin/python -m pip install --quiet -r benchmarks/rivals/requirements.txt

clean:
	rm -rf .venv .venv-oldest .venv-rivals .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist examples/output
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.created:
	$(PYTHON) -m venv .venv
	touch $@

.venv/.demo: .venv/.created pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[pandas,plots,progress]'
	touch $@

.venv/.test: .venv/.created pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[test,lint]'
	touch $@ .venv/.demo

# pip always takes the newest release, so uv chooses the versions here.
.venv-oldest/.test: pyproject.toml
	$(PYTHON_OLDEST) -m venv --clear .venv-oldest
	$(OLDEST)/python -m pip install --quiet uv
	$(OLDEST)/uv pip install --quiet --python $(OLDEST)/python --resolution lowest-direct -e '.[test]'
	touch $@
