# The app in a container: CPU only, not root, fit for a read-only root file system.
#
#   docker build -t dynamic-vit-explorer .
#   docker run --rm -p 8501:8501 --read-only --tmpfs /tmp:size=1g dynamic-vit-explorer
#
# On x86 the registry's torch brings CUDA (4 GB more); PyTorch's own index serves the same version
# without. Where that index cannot be reached: --build-arg TORCH_INDEX=
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS packages
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /packages
COPY requirements.txt .
RUN python3 -m venv /venv
RUN if [ -n "$TORCH_INDEX" ]; then \
        grep -E '^torch(vision)?==' requirements.txt >torch.txt && \
        /venv/bin/pip install --no-deps --index-url "$TORCH_INDEX" -r torch.txt; \
    fi && \
    grep -v '^-e' requirements.txt >packages.txt && \
    /venv/bin/pip install -r packages.txt && \
    /venv/bin/pip check
# Headers, tests and the installer are of no use to a server.
RUN /venv/bin/pip uninstall --yes pip && \
    find /venv -depth -type d \( -name tests -o -path '*/torch/include' \) -exec rm -rf {} +

FROM ${PYTHON}
# Hugging Face Spaces runs containers as 1000, too. /cache holds what a visitor's click fetched.
RUN useradd --uid 1000 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin app && \
    install -d -o 1000 -g 1000 /cache
COPY --from=packages /venv /venv
WORKDIR /app
COPY streamlit_config.toml .streamlit/config.toml
COPY dvt_core dvt_core
COPY app app
COPY assets assets
# /tmp is all that is written, but for /cache. glibc keeps a pool of memory per thread: two do.
ENV PATH=/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    XDG_CACHE_HOME=/tmp/cache \
    MPLCONFIGDIR=/tmp/matplotlib \
    HF_HOME=/tmp/huggingface \
    DVT_CACHE=/cache \
    OMP_NUM_THREADS=1 \
    MALLOC_ARENA_MAX=2 \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0 \
    STREAMLIT_SERVER_PORT=8501
# What the status page names as the running version: --build-arg DVT_COMMIT=$(git rev-parse HEAD)
ARG DVT_COMMIT=
ENV DVT_COMMIT=$DVT_COMMIT
RUN env -u PYTHONDONTWRITEBYTECODE python -m compileall -q dvt_core app
USER 1000:1000
EXPOSE 8501
# Fails when a page or the model fails, not only when the process is gone.
HEALTHCHECK --interval=30s --timeout=50s --start-period=120s --retries=3 \
    CMD ["python", "-m", "app.serving.probe"]
CMD ["streamlit", "run", "app/asgi.py"]
