# make app     install what is needed and serve the app on http://127.0.0.1:8501
# make test    linters and all tests      make bench   measurements, side by side
# make setup   only prepare .venv         make clean   remove .venv and caches
# make bench-imagenet   the paper's models: time, memory and images/s on this machine (20 minutes)
# make readme  write cards, curves and the README anew from the stored tables
# make screenshots PICTURE=FILE   take the README's pictures of the running app
PORT ?= 8501
BIN := .venv/bin

# One inference thread is the fastest choice as soon as several people use the app (or several
# processes run) on few cores; `make app OMP_NUM_THREADS=4` overrules it.
export OMP_NUM_THREADS ?= 1

.PHONY: app test bench bench-imagenet readme screenshots setup dev lint clean
.DEFAULT_GOAL := app

setup:
	@scripts/setup.sh run

dev:
	@scripts/setup.sh dev

app: setup
	@exec $(BIN)/streamlit run app/asgi.py --server.address=127.0.0.1 --server.port=$(PORT)

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

test: lint
	@DVT_BROWSER=$$(scripts/ensure_browser.sh) && export DVT_BROWSER && $(BIN)/pytest

bench: dev
	@$(BIN)/python -m scripts.bench

# Freed memory is kept for the next tensor: page faults would slow the plain side the most and
# flatter ours.
bench-imagenet: export OMP_NUM_THREADS := $(shell nproc)
bench-imagenet: export MALLOC_TRIM_THRESHOLD_ := 100000000000
bench-imagenet: export MALLOC_MMAP_THRESHOLD_ := 100000000000
bench-imagenet: dev
	@$(BIN)/python -m scripts.bench_imagenet $(ARGS)

readme: dev
	@$(BIN)/python scripts/fill_readme.py

screenshots: dev
	@DVT_BROWSER=$$(scripts/ensure_browser.sh) && export DVT_BROWSER && \
	$(BIN)/python scripts/screenshots.py $(PICTURE)

clean:
	rm -rf .venv .pytest_cache .ruff_cache *.egg-info
	find dvt_core app tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
