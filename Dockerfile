# docker build --tag bifrost .
# docker run --publish 3000:3000 --env JWT_SECRET --stop-timeout 40 bifrost
#
# With --volume bifrost:/app/data --env HISTORY_FILE=data/history what clients can recover survives a restart.
#
# Docker kills what has not ended 10 s after SIGTERM; the goodbyes alone take DRAIN_SECONDS.

FROM node:22-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci
COPY tsconfig.json LICENSE.md ./
COPY bin ./bin
COPY packages ./packages
COPY scripts ./scripts
COPY src ./src
RUN npm run build
RUN npm prune --omit=dev

FROM node:22-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/bin ./bin
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# For a volume, which takes over its mode. Nobody else is in the container.
RUN mkdir --mode=1777 data
USER node
EXPOSE 3000
# With TLS in process, the certificate is not made out to 127.0.0.1.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["node", "--no-warnings", "-e", "const { PORT = 3000, TLS_CERT_FILE } = process.env; if (TLS_CERT_FILE) process.env.NODE_TLS_REJECT_UNAUTHORIZED = 0; fetch(`http${TLS_CERT_FILE ? 's' : ''}://127.0.0.1:${PORT}/healthz`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Node itself is process 1: nothing stands between SIGTERM and the server.
CMD ["node", "dist/main.js"]
