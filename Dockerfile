# Checked by parsing (tests/test_repository.py), not by building or running it.
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/adserve
# The dependencies first, with their hashes, so that a change of the code leaves this layer alone.
COPY requirements.lock ./
RUN /opt/adserve/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml LICENSE README.md ./
COPY adserve ./adserve
# The lock also holds what tests and the build need. It goes again: the running image holds only what serves.
RUN /opt/adserve/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
 && /opt/adserve/bin/pip uninstall -y --quiet playwright greenlet hypothesis pytest pytest-asyncio \
      mypy mypy-extensions ast-serialize librt ruff html5lib httpx2 httpcore2 types-html5lib types-pyyaml \
      types-webencodings hatchling editables trove-classifiers

FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/opt/adserve/bin:$PATH \
    ADSERVE_HOST=0.0.0.0 ADSERVE_PORT=8000 ADSERVE_DATA_DIR=/data
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin adserve \
 && install -d -o adserve -g adserve -m 0700 /data
COPY --from=build /opt/adserve /opt/adserve
# Nothing outside /data and /tmp is written, so `--read-only --tmpfs /tmp` works.
USER 10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['ADSERVE_PORT'] + '/healthz', timeout=2)"]
ENTRYPOINT ["adserve"]
CMD ["serve"]
