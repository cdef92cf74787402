# Three images: `web` has all of VLog but captions, `worker` has Whisper too, `nginx` stands in front. docs/install.md.

FROM node:24-slim AS modules
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --omit=dev --no-audit --no-fund --no-update-notifier --loglevel=error

# With compilers, for machines for which a package has no wheel.
FROM python:3.11-bookworm AS packages
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY requirements-base.txt constraints.txt ./
# The pip of the Makefile: an older one does not read hashes from constraints.txt.
RUN pip install --no-cache-dir pip==26.3 && \
    pip install --no-cache-dir -c constraints.txt -r requirements-base.txt

FROM packages AS collected
WORKDIR /opt/vlog
COPY . .
COPY --from=modules /build/node_modules node_modules
RUN export VLOG_DATA_DIR=/tmp/vlog && python manage.py collectstatic --noinput && \
    python -m vlog.catalogues compile && rm -r node_modules

FROM python:3.11-slim-bookworm AS web
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 VLOG_DATA_DIR=/var/lib/vlog
# A new volume takes over the folder's owner.
RUN useradd --uid 1000 --create-home vlog && install -d -o vlog -g vlog -m 700 /var/lib/vlog
COPY --from=packages /opt/venv /opt/venv
COPY --from=collected /opt/vlog /opt/vlog
WORKDIR /opt/vlog
USER vlog
HEALTHCHECK --start-period=60s --start-interval=2s --timeout=5s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]

FROM web AS worker
USER root
# For a CPU alone: --build-arg PIP_EXTRA_INDEX_URL=… of PyTorch's builds for it saves gigabytes.
ARG PIP_EXTRA_INDEX_URL
# First torch, without hashes: its builds have different files under the same version.
RUN pip install --no-cache-dir --no-deps "$(grep '^torch==' requirements-whisper.txt)" && \
    pip install --no-cache-dir -c constraints.txt -r requirements.txt
USER vlog

FROM nginxinc/nginx-unprivileged:1.28-alpine AS nginx
USER root
COPY --from=collected /opt/vlog/staticfiles /srv/vlog/static
COPY deploy/nginx.conf /etc/nginx/nginx.conf
COPY deploy/nginx.conf.template /tmp/
# Whose X-Forwarded-For and X-Forwarded-Proto nginx believes: a network, in CIDR notation.
ARG VLOG_PROXIES=127.0.0.1/32
RUN VLOG_LISTEN=8080 VLOG_WEB=web:8000 VLOG_FILES=/srv/vlog VLOG_STATIC=/srv/vlog/static \
    envsubst '$VLOG_LISTEN $VLOG_WEB $VLOG_FILES $VLOG_STATIC $VLOG_PROXIES' \
    </tmp/nginx.conf.template >/etc/nginx/conf.d/default.conf
# The owner of the videos, whose folders no other user may read.
USER 1000:1000
HEALTHCHECK --start-period=60s --start-interval=2s --timeout=5s \
    CMD ["wget", "--quiet", "--spider", "http://127.0.0.1:8080/healthz"]
