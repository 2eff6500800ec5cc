# Tools that run once: migrations, and building and registering guest images. From the repository's root:
#   docker build -f deploy/images.Dockerfile -t corral/tools .
FROM node:24-bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends tini ca-certificates cpio e2fsprogs fakeroot xz-utils zstd \
 && install -d -o node -g node /var/lib/corral /corral
WORKDIR /corral
USER node
ENV CHECKPOINT_DISABLE=1 CORRAL_HOME=/var/lib/corral NODE_OPTIONS="--conditions=@corral/source --disable-warning=ExperimentalWarning"
COPY --chown=node:node . .
RUN NODE_OPTIONS= npm install --no-audit --no-fund
VOLUME /var/lib/corral
# Nothing listens: what runs here ends, and its exit code is its health.
HEALTHCHECK NONE
ENTRYPOINT ["tini", "--"]
CMD ["sh", "-c", "node images/src/main.ts linux-minimal && node tools/src/register/main.ts"]
