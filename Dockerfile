# Two images, both with the one file of `npm run build:executable`: docs/container.md
#   docker build -t compute-local .
#   docker build -t compute_ctl --target compute_ctl --build-arg NEON_COMPUTE_IMAGE=... .

# Only for building; nothing of it is in the images.
ARG NODE_IMAGE=node:24-bookworm-slim
# Debian, or an image from Debian with PostgreSQL 14 to 18 in it, such as postgres:16. Not Alpine.
ARG BASE_IMAGE=debian:13-slim
# The image whose compute_ctl is replaced.
ARG NEON_COMPUTE_IMAGE=neondatabase/compute-node-v17:latest

FROM ${NODE_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci
COPY . .
# Where there is one, the compiled code is that of a whole start.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends postgresql \
    && rm -rf /var/lib/apt/lists/*
RUN npm run build:executable -- "$(node -p process.arch)" \
    && mv build/linux-*/compute_ctl /usr/local/bin/compute_ctl

# Linked statically, so that it runs in every image.
FROM debian:13-slim AS init
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/*

FROM ${NEON_COMPUTE_IMAGE} AS compute_ctl
COPY --from=init /usr/bin/tini-static /usr/local/bin/tini
COPY --from=build /usr/local/bin/compute_ctl /usr/local/bin/compute_ctl
COPY packaging/container/readyz /usr/local/bin/readyz
# It runs here, or the build fails.
RUN ["/usr/local/bin/compute_ctl", "--version"]
ENTRYPOINT ["/usr/local/bin/tini", "-s", "--", "/usr/local/bin/compute_ctl"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=5m --retries=3 CMD ["/usr/local/bin/readyz", "3080"]
ARG NEON_COMPUTE_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="compute_ctl" \
      org.opencontainers.image.description="A Neon compute image with this compute_ctl in it" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${NEON_COMPUTE_IMAGE}"

FROM ${BASE_IMAGE} AS compute-local
# Of PostgreSQL, when the base image has none: one that its Debian has.
ARG PG_MAJOR=17
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
# Debian would give postgres another uid, and start a server of its own. 1000 is what many clusters run everything as: initdb requires
# a name for it. The volume's directory gets its owner here.
# hadolint ignore=DL3008
RUN if ! getent passwd postgres; then \
        groupadd --gid 999 postgres; \
        useradd --uid 999 --gid 999 --no-log-init --home-dir /var/lib/postgresql --shell /bin/bash postgres; \
    fi; \
    if ! getent passwd 1000; then \
        groupadd --gid 1000 compute; \
        useradd --uid 1000 --gid 1000 --no-log-init --home-dir /var/lib/postgresql --shell /bin/bash compute; \
    fi; \
    [[ "$(id -u postgres):$(id -g postgres)" == 999:999 ]]; \
    if ! compgen -G '/usr/lib/postgresql/*/bin/postgres'; then \
        export DEBIAN_FRONTEND=noninteractive; \
        apt-get update; \
        apt-get install -y --no-install-recommends postgresql-common; \
        sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf; \
        apt-get install -y --no-install-recommends "postgresql-${PG_MAJOR}" libstdc++6; \
        rm -rf /var/lib/apt/lists/*; \
    fi; \
    install -d -o 999 -g 999 -m 0700 /var/lib/compute-local
COPY --from=init /usr/bin/tini-static /usr/local/bin/tini
COPY --from=build /usr/local/bin/compute_ctl /usr/local/bin/compute_ctl
COPY packaging/container/readyz /usr/local/bin/readyz
RUN ln -s compute_ctl /usr/local/bin/compute-local; \
    ln -s compute_ctl /usr/local/bin/vm-monitor; \
    compute-local --version
# A directory in the volume, whose own belongs to whoever made it.
ENV COMPUTE_LOCAL_DIR=/var/lib/compute-local/data
# The health check asks compute_ctl, which does not run while its Postgres sleeps.
ENV COMPUTE_LOCAL_SUSPEND_AFTER=0
VOLUME /var/lib/compute-local
EXPOSE 5432 3080
USER 999:999
WORKDIR /
ENTRYPOINT ["/usr/local/bin/tini", "-s", "--", "/usr/local/bin/compute-local"]
CMD ["up", "--listen-all", "--port=5432", "--http-port=3080"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=2m --retries=3 CMD ["/usr/local/bin/readyz", "3080"]
ARG BASE_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="compute-local" \
      org.opencontainers.image.description="A serverless Postgres on one machine: compute_ctl with a durable storage built in" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}"
