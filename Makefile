# make app     install what is needed and serve the app on http://127.0.0.1:8501
# make test    linters and all tests      make bench   measurements, side by side
# make setup   only prepare .venv         make clean   remove .venv and caches
# make bench-imagenet   the paper's models: time, memory and images/s on this machine (20 minutes)
# make fuzz    coverage-guided fuzzing of pictures and checkpoints (ARGS=seconds each, default 60)
# make hostile the tests of hostile files, links and words, with thousands of random ones more
# make readme  write cards, curves and the README anew from the stored tables
# make faults  training killed and resumed, a full disk, a server stopped in a batch (5 minutes)
# make load    sixty people at once for a minute, every answer checked (4 minutes, quiet machine)
# make soak    2,000 uploads over 100 sessions that come and go (25 minutes, quiet machine)
# make screenshots PICTURE=FILE   take the README's pictures of the running app
# make replicas   two servers behind nginx, a class, one is killed (9 minutes, needs nginx)
PORT ?= 8501
BIN := .venv/bin

# One inference thread is the fastest choice as soon as several people use the app (or several
# processes run) on few cores; `make app OMP_NUM_THREADS=4` overrules it.
export OMP_NUM_THREADS ?= 1

# glibc keeps a pool of freed memory per thread, and a server has many threads: two pools do.
export MALLOC_ARENA_MAX ?= 2

.PHONY: app test faults bench bench-imagenet load soak readme screenshots setup dev fuzz lint replicas clean hostile
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

faults: dev
	@$(BIN)/python -m scripts.faults.kill_training
	@$(BIN)/python -m scripts.faults.full_disk
	@$(BIN)/python -m scripts.faults.stop_server

hostile: dev
	@DVT_EXAMPLES=$${DVT_EXAMPLES:-3000} $(BIN)/pytest tests/hostile $(ARGS)

bench: dev
	@$(BIN)/python -m scripts.bench

# Freed memory is kept for the next tensor: page faults would slow the plain side the most and
# flatter ours.
bench-imagenet: export OMP_NUM_THREADS := $(shell nproc)
bench-imagenet: export MALLOC_TRIM_THRESHOLD_ := 100000000000
bench-imagenet: export MALLOC_MMAP_THRESHOLD_ := 100000000000
bench-imagenet: dev
	@$(BIN)/python -m scripts.bench_imagenet $(ARGS)

load: dev
	@$(BIN)/python -m scripts.load class --bare --out assets/benchmarks/load.json $(ARGS)

soak: dev
	@$(BIN)/python -m scripts.load soak --out assets/benchmarks/soak.json $(ARGS)

# atheris is large and has wheels for Linux on x86-64 only, so it comes when it is asked for.
fuzz: dev
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install -q atheris==3.0.0
	@$(BIN)/python -m scripts.fuzz.intake $(ARGS)
	@$(BIN)/python -m scripts.fuzz.checkpoint $(ARGS)

readme: dev
	@$(BIN)/python scripts/fill_readme.py

screenshots: dev
	@DVT_BROWSER=$$(scripts/ensure_browser.sh) && export DVT_BROWSER && \
	$(BIN)/python scripts/screenshots.py $(PICTURE)

replicas: dev
	@$(BIN)/python -m scripts.replicas $(ARGS)

clean:
	rm -rf .venv .pytest_cache .ruff_cache *.egg-info
	find dvt_core app tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
