# `make demo` paints a first picture, `make test` passes the tests; both set everything up in .venv by themselves.
PYTHON ?= python3
BIN := .venv/bin
EXAMPLES := src/impasto/examples
# One thread for each of two test processes: torch's own threads would only fight over the cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

.PHONY: setup demo test test-all studio studio-test lint bench bench-encoder docs pictures clean

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev,heic,sweep,service,otel]"
	touch $@

demo: setup
	$(BIN)/impasto stylize $(EXAMPLES)/content/chelsea.jpg $(EXAMPLES)/style/munch.jpg \
		--model compact --look neighbors --height 300 --output-file demo/chelsea.png --overwrite

test: setup
	$(PYTEST) -m "not slow"

# What `make test` runs and all that takes longer: browser, servers, chaos.
test-all: test lint studio-test
	$(PYTEST) -m slow

# The studio's page, from studio/ into the package.
studio: setup
	$(BIN)/python tools/build_studio.py

# Lint, types and unit tests of the studio's source; its browser tests are part of the suite.
studio-test: setup
	$(BIN)/python tools/build_studio.py --check

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	mkdir -p build
	$(BIN)/impasto bench --json build/impasto-bench.json

# Needs IMPASTO_WEIGHTS_DIR and IMPASTO_IMAGES_DIR.
bench-encoder: setup
	$(BIN)/python -m benchmarks.encoder

# The pages under docs/reference, from the code.
docs: setup
	$(BIN)/python tools/make_docs.py

# The pictures of the README and of docs/howto, by the commands on these pages; of one page alone with PAGE=docs/howto/masks.md.
pictures: setup
	$(BIN)/python tools/make_docs.py --pictures $(PAGE)

clean:
	rm -rf .venv build demo work .mypy_cache .ruff_cache .pytest_cache
