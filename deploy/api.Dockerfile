# The control plane: API, controllers, scheduler and console. Build from the repository's root:
#   docker build -f deploy/api.Dockerfile -t corral/api .
FROM node:24-bookworm-slim AS build
WORKDIR /corral
ENV NX_DAEMON=false CHECKPOINT_DISABLE=1
COPY . .
RUN npm install --no-audit --no-fund \
 && npx nx run-many -t build -p @corral/api,@corral/console
RUN npm prune --omit=dev --omit=optional --no-audit --no-fund \
 && find apps libs \( -name src -o -name '*.tsbuildinfo' \) -prune -exec rm -rf {} +

FROM node:24-bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o node -g node /var/lib/corral
WORKDIR /corral
COPY --from=build /corral/package.json ./
COPY --from=build /corral/node_modules node_modules
COPY --from=build /corral/libs libs
COPY --from=build /corral/apps/api apps/api
COPY --from=build /corral/apps/console/dist apps/console/dist
ENV NODE_ENV=production CORRAL_HOST=0.0.0.0 CORRAL_PORT=8086 CORRAL_CONSOLE_DIR=/corral/apps/console/dist CORRAL_TLS_DIR=/var/lib/corral/tls
USER node
VOLUME /var/lib/corral
EXPOSE 8086
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.CORRAL_PORT + '/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["tini", "--"]
CMD ["node", "apps/api/dist/main.js"]
