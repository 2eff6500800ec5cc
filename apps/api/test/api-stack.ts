import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { exchangeNodeToken, HttpObjectClient } from '@corral/client';
import { namespaces, SYSTEM_NAMESPACES } from '@corral/contracts';
import { startObjectStore, startPostgres, startRedis, type EmbeddedObjectStore, type EmbeddedRedis } from '@corral/embedded';
import { Deadline } from '@corral/testing';
import { jest } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiConfig } from '../src/platform/config/api-config.ts';
import type { RouteOptions } from '../src/platform/http/http-server.ts';
import { createApplication, startApplication } from '../src/roles/application.ts';

// Whoever uses a whole stack shares the host with other tests; deadlines of the tests' own say what took too long.
jest.setTimeout(60_000);

const ROOT = join(import.meta.dirname, '../../..');
const ADMIN_TOKEN = 'admin-token-of-tests';
export const NODE_TOKEN = 'node-token-of-tests';

/** As Fastify knows it: the path is a pattern. */
export interface ApiRoute {
  readonly method: string;
  readonly path: string;
  /** It only says that the path has no such method. */
  readonly isRefusal: boolean;
}

/** The API server on real, embedded PostgreSQL, Redis and S3, in the test's own process. */
export interface ApiStack {
  readonly url: string;
  readonly app: NestFastifyApplication;
  /** Every HTTP route the server registered. */
  readonly routes: readonly ApiRoute[];
  readonly config: ApiConfig;
  /** The folder its servers live in. */
  readonly home: string;
  readonly redis: EmbeddedRedis;
  readonly objectStore: EmbeddedObjectStore;
  /** As an administrator, over HTTP. */
  readonly admin: HttpObjectClient;
  /** Plays any node, over HTTP: with full rights, because a real one may only speak of itself. */
  readonly agent: HttpObjectClient;
  /** Exactly one node, as its worker would be. */
  nodeToken(nodeName: string): Promise<string>;
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** One more API server on the same database, Redis and S3, with settings of its own; stopped with the stack at the latest. */
  another(env?: Readonly<Record<string, string>>): Promise<ApiPeer>;
  stop(): Promise<void>;
}

export interface ApiPeer {
  readonly url: string;
  readonly app: NestFastifyApplication;
  readonly admin: HttpObjectClient;
  stop(): Promise<void>;
}

export const authorization = { authorization: `Bearer ${ADMIN_TOKEN}` };

export async function startApi(env: Readonly<Record<string, string>> = {}): Promise<ApiStack> {
  const home = mkdtempSync(join(tmpdir(), 'corral-api-'));
  const [postgres, redis, objectStore] = await Promise.all([
    startPostgres({ home, durability: 'Test' }),
    startRedis({ home }),
    startObjectStore({ home, durability: 'Test' }),
  ]);
  await migrate(postgres.url);
  const environment = {
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    S3_ENDPOINT: objectStore.url,
    S3_REGION: objectStore.region,
    S3_ACCESS_KEY_ID: objectStore.accessKeyId,
    S3_SECRET_ACCESS_KEY: objectStore.secretAccessKey,
    CORRAL_PORT: '0',
    CORRAL_ADMIN_TOKEN: ADMIN_TOKEN,
    CORRAL_NODE_TOKEN: NODE_TOKEN,
    CORRAL_BAKE_SETTLE_SECONDS: '0',
    CORRAL_FORK_GATHERING_SECONDS: '8',
    ...env,
  };
  const config = ApiConfig.parse(environment);
  const app = await createApplication(config);
  const routes: ApiRoute[] = [];
  app.getHttpAdapter().getInstance().addHook('onRoute', ({ method, url, config }) => {
    for (const one of [method].flat()) routes.push({ method: one, path: url, isRefusal: (config as RouteOptions | undefined)?.isRefusal === true });
  });
  app.useLogger(process.env['CORRAL_TEST_LOG'] ? ['log', 'warn', 'error'] : false);
  const url = await startApplication(app, config);
  const admin = new HttpObjectClient({ baseUrl: url, token: ADMIN_TOKEN });
  if (config.roles.includes('controllers')) for (const name of SYSTEM_NAMESPACES) await eventually(() => admin.get(namespaces, undefined, name), `the namespace ${name}`);
  const peers = new Set<ApiPeer>();
  return {
    url,
    app,
    routes,
    config,
    home,
    redis,
    objectStore,
    admin,
    agent: new HttpObjectClient({ baseUrl: url, token: ADMIN_TOKEN }),
    nodeToken: (nodeName) => exchangeNodeToken({ baseUrl: url, token: NODE_TOKEN, nodeName }),
    fetch: (path, init = {}) => fetch(`${url}${path}`, { ...init, headers: { ...authorization, ...init.headers } }),
    async another(more = {}) {
      const peerConfig = ApiConfig.parse({ ...environment, ...more });
      const peerApp = await createApplication(peerConfig);
      peerApp.useLogger(process.env['CORRAL_TEST_LOG'] ? ['log', 'warn', 'error'] : false);
      const peerUrl = await startApplication(peerApp, peerConfig);
      const peer: ApiPeer = {
        url: peerUrl,
        app: peerApp,
        admin: new HttpObjectClient({ baseUrl: peerUrl, token: ADMIN_TOKEN }),
        async stop() {
          if (peers.delete(peer)) await peerApp.close();
        },
      };
      peers.add(peer);
      return peer;
    },
    async stop() {
      await Promise.all([...peers].map((peer) => peer.stop()));
      await app.close();
      await Promise.all([postgres.stop(), redis.stop(), objectStore.stop()]);
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Migrations run in a process of their own, as in production: their pool would keep this one alive. */
async function migrate(databaseUrl: string): Promise<void> {
  await promisify(execFile)(process.execPath, ['--conditions=@corral/source', '--disable-warning=ExperimentalWarning', 'prisma/migrate.ts'], {
    cwd: ROOT,
    env: { ...process.env, NODE_OPTIONS: '', DATABASE_URL: databaseUrl },
  });
}

/** Polls until there is a value; what was last seen is told when there never is. */
export async function eventually<T>(look: () => Promise<T | undefined | false>, what: string, deadlineMs = 15_000): Promise<T> {
  const deadline = new Deadline(deadlineMs);
  let lastError: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (deadline.isOver) throw new Error(`not within ${deadline.waitedMs} ms: ${what}`, { cause: lastError });
    await delay(20);
  }
}
