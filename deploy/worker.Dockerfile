# A worker: the node agent and its machines, one process each. It needs no KVM and no privileges. From the repository's root:
#   docker build -f deploy/worker.Dockerfile -t corral/worker .
FROM node:24-bookworm-slim AS build
WORKDIR /corral
ENV NX_DAEMON=false CHECKPOINT_DISABLE=1
COPY . .
RUN npm install --no-audit --no-fund \
 && npx nx run-many -t build -p @corral/worker
RUN npm prune --omit=dev --omit=optional --no-audit --no-fund \
 && find apps libs \( -name src -o -name '*.tsbuildinfo' \) -prune -exec rm -rf {} +

FROM node:24-bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o node -g node /var/lib/corral /var/lib/corral/worker
WORKDIR /corral
COPY --from=build /corral/package.json ./
COPY --from=build /corral/node_modules node_modules
COPY --from=build /corral/libs libs
COPY --from=build /corral/apps/worker apps/worker
ENV NODE_ENV=production \
    CORRAL_WORKER_HOME=/var/lib/corral/worker \
    CORRAL_FIRMWARE_DIR=/var/lib/corral/images/firmware \
    CORRAL_DATA_PLANE_HOST=0.0.0.0 \
    CORRAL_DATA_PLANE_PORT=8087
USER node
VOLUME /var/lib/corral/worker
EXPOSE 8087
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.CORRAL_DATA_PLANE_PORT + '/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# SIGTERM lets the agent suspend its machines to its volume: give it time (docker stop -t 90).
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--"]
CMD ["node", "apps/worker/dist/main.js"]
