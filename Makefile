# Every target sets up what it needs; each stamp file below is remade when pyproject.toml changes.
PYTHON ?= python3
PYTHON_OLDEST ?= python3.11
BIN := .venv/bin
OLDEST := .venv-oldest/bin
PYTEST_ARGS ?= -n 2
# Every model, solver and loss against its oracle, and every estimator in one fit: two minutes on two cores.
COMPILED := tests/optim tests/train \
	tests/estimators/test_family.py::test_pairs_of_fields_are_learned \
	tests/estimators/test_targets.py::test_linear_classifier_is_logistic_regression \
	tests/estimators/test_targets.py::test_linear_regressor_is_ridge

N ?= 20000
BUDGET ?= 60

.PHONY: demo fuzz test test-compiled test-without-native test-oldest test-sanitized lint native docs rivals clean

demo: .venv/.demo native  ## compare skfm with scikit-learn on Adult; writes examples/output/
	$(BIN)/python examples/adult.py

test: lint docs  ## everything that must pass before a commit
	$(BIN)/python -m pytest $(PYTEST_ARGS) --doctest-modules skfm tests

test-compiled: .venv/.test native  ## a part of the tests on programs compiled as users compile them, with optimisation
	SKFM_TEST_THOROUGH=1 $(BIN)/python -m pytest $(PYTEST_ARGS) $(COMPILED)

test-without-native: .venv/.test  ## the same part on programs that call no native code
	SKFM_NATIVE=0 $(BIN)/python -m pytest $(PYTEST_ARGS) $(COMPILED)

test-sanitized: .venv/.test  ## native code and its tests, with sanitizers of addresses and behaviour, then of threads
	$(BIN)/python -m tools.sanitize

test-oldest: .venv-oldest/.test  ## the same tests on the lowest versions that pyproject.toml allows
	$(OLDEST)/python -m tools.build_native
	$(OLDEST)/python -m pytest $(PYTEST_ARGS) --doctest-modules skfm tests

fuzz: .venv/.test native  ## N random cases over all estimators, for BUDGET minutes at most
	$(BIN)/python -m tests.fuzz $(N) --budget $(BUDGET) $(FUZZ_ARGS)

lint: .venv/.test native
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy skfm tools
	$(BIN)/python -m tools.signatures --check
	$(BIN)/clang-format --dry-run -Werror skfm/native/src/*.cc skfm/native/src/*.h

native: .venv/.demo  ## native code, where its sources changed and there is a compiler
	$(BIN)/python -m tools.build_native

docs: .venv/.docs  ## the documentation as HTML in docs/_build; warnings are errors
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -b html docs docs/_build

# xLearn is built from source, which takes minutes and a C++ compiler, and its set-up asks for a user's name.
rivals: benchmarks/rivals/requirements.txt  ## other libraries for the benchmarks, in .venv-rivals
	$(PYTHON) -m venv .venv-rivals
	USER=$${USER:-user} .venv-rivals/bin/python -m pip install --quiet -r benchmarks/rivals/requirements.txt

clean:
	rm -rf .venv .venv-oldest .venv-rivals .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist docs/_build examples/output
	rm -f skfm/native/libskfm.so* skfm/native/skfm.dll*
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

.venv/.docs: .venv/.created pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	touch $@

# pip always takes the newest release, so uv chooses the versions here.
.venv-oldest/.test: pyproject.toml
	$(PYTHON_OLDEST) -m venv --clear .venv-oldest
	$(OLDEST)/python -m pip install --quiet uv
	$(OLDEST)/uv pip install --quiet --python $(OLDEST)/python --resolution lowest-direct -e '.[test]'
	touch $@
