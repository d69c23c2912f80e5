# RuleEdit's service in a container. Not built by CI, which has no container engine: see docs/settings.md.
#
#   docker build -t ruleedit .
#   docker run -p 8000:8000 -v ruleedit-data:/data ruleedit
#
# Behind a proxy with TLS: keys travel as they are.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/ruleedit \
    && /opt/ruleedit/bin/pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY ruleedit ruleedit
COPY service service
RUN /opt/ruleedit/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim-bookworm
# LightGBM's own threads. A volume takes its owner from the folder that it is mounted on: /tables is compose.yaml's.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --create-home ruleedit \
    && install --directory --owner ruleedit /tables
COPY --from=build /opt/ruleedit /opt/ruleedit
ENV PATH=/opt/ruleedit/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OMP_WAIT_POLICY=passive
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
# SIGTERM ends the service when the requests in flight are answered.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["ruleedit", "serve", "--host", "0.0.0.0", "--port", "8000", "--data-dir", "/data"]
