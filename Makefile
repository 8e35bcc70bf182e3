# make sweep   installs what is missing into .venv, then runs a sweep on the demo speech
# make test    installs what is missing into .venv, then lints, type-checks and runs every test: the quick ones on all
#              cores, the slow ones two at a time: they wait for Ray more than they compute
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: install sweep test test-trainers lint docs clean

install: $(STAMP)

# The stamp is older than either file after a change of versions, so the next command installs again.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,cluster,dashboard,wandb,dev]'
	touch $@

sweep: $(STAMP)
	$(BIN)/python run_sweep.py --space safe_weights

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -q -n auto -m "not slow"
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m slow

# Published trainers in virtual environments of their own; DATA is an LJSpeech folder. An hour on two idle cores.
test-trainers: $(STAMP)
	$(BIN)/python benchmarks/external_trainers.py --data $(DATA)

docs: $(STAMP)
	$(BIN)/python -m tests.test_docs

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
