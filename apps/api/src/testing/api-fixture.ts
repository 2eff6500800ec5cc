import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Module, type DynamicModule } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { exchangeNodeToken } from '@corral/client';
import { namespaces, type Condition, type FieldProblem, type KindDefinition, type KubeObject, type ObjectClient, type ObjectMeta } from '@corral/contracts';
import { startPostgres, type EmbeddedPostgres } from '@corral/embedded';
import getPort from 'get-port';
import { AccessModule, RoleAdmissionModule } from '../modules/access/access.module.ts';
import { GarbageCollectionModule, ResourceRoutesModule } from '../modules/resources/resources.module.ts';
import type { ApiConfig } from '../platform/config/api-config.ts';
import { readIdentityConfig } from '../platform/config/identity-config.ts';
import { PostgresStore } from '../platform/database/postgres-store.ts';
import { DEFAULT_TRAFFIC, type TrafficConfig } from '../platform/traffic/traffic-config.ts';
import { OBJECT_CLIENT } from '../platform/objects/object-client.ts';
import { PlatformModule } from '../roles/app.module.ts';
import { createApplication, startApplication } from '../roles/application.ts';

const ROOT = resolve(import.meta.dirname, '../../../..');
export const ADMIN_TOKEN = 'admin-token-of-the-tests';
export const NODE_TOKEN = 'node-token-of-the-tests';

/** The generic API without the controllers, on a real PostgreSQL: a whole server, reached over its port. */
export interface ApiFixture {
  /** HTTP; the same port speaks HTTPS. */
  readonly url: string;
  readonly app: NestFastifyApplication;
  readonly client: ObjectClient;
  readonly store: PostgresStore;
  /** PEM that verifies the server. */
  readonly certificate: string;
  /** A folder for the test's files. */
  readonly home: string;
  /** A request as the admin, unless headers say otherwise; a string body goes as it is. */
  request(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<ApiAnswer>;
  /** Starts another server beside it, on the same database and a port of its own; stopped with it. */
  peer(): Promise<ApiPeer>;
  /** A credential of this node alone. */
  nodeToken(nodeName: string): Promise<string>;
  /** Stops the server and starts another on the same database and port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export type ApiPeer = Pick<ApiFixture, 'url' | 'app' | 'request'>;

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: AnswerBody;
}

/** Whatever the API may answer, read as if all of it were there: a test that reads a field claims that it is. */
export interface AnswerBody extends KubeObject {
  readonly metadata: Required<ObjectMeta> & { readonly continue?: string; readonly remainingItemCount?: number };
  readonly spec: Record<string, unknown>;
  readonly status: { readonly phase: string; readonly conditions: readonly Condition[] };
  // A list, a Table, discovery.
  readonly items: readonly KubeObject[];
  readonly columnDefinitions: readonly { readonly name: string }[];
  readonly rows: readonly { readonly cells: readonly unknown[] }[];
  readonly resources: readonly { readonly name: string }[];
  // A Status.
  readonly reason: string;
  readonly message: string;
  readonly details: { readonly causes: readonly FieldProblem[] };
  // A sign-in link, a ticket.
  readonly url: string;
  readonly ticket: string;
}

@Module({})
class GenericApi {
  static register(config: ApiConfig, more: DynamicModule['imports'] = []): DynamicModule {
    return { module: GenericApi, imports: [PlatformModule.register(config), ResourceRoutesModule, GarbageCollectionModule, AccessModule, RoleAdmissionModule, ...more] };
  }
}

export async function startApi(options: { consoleDir?: string; env?: Readonly<Record<string, string>>; imports?: DynamicModule['imports']; traffic?: TrafficConfig } = {}): Promise<ApiFixture> {
  const home = mkdtempSync(join(tmpdir(), 'corral-api-'));
  const postgres = await startPostgres({ home, durability: 'Test' });
  await migrate(postgres);
  const config: ApiConfig = {
    databaseUrl: postgres.url,
    redisUrl: 'redis://127.0.0.1:1',
    s3: { endpoint: 'http://127.0.0.1:1', region: 'us-east-1', bucket: 'corral', accessKeyId: 'unused', secretAccessKey: 'unused' },
    host: '127.0.0.1',
    port: await getPort(),
    roles: ['api'],
    adminToken: ADMIN_TOKEN,
    nodeToken: NODE_TOKEN,
    consoleDir: options.consoleDir,
    tlsDir: join(home, 'tls'),
    imageFetch: { allowPrivate: true, allowed: [] },
    bakeSettleMs: 0,
    forkGatheringMs: 5_000,
    evictAfterMs: 30_000,
    evictedNodesPerMinute: 6,
    schedulerProfile: 'Spread',
    traffic: options.traffic ?? DEFAULT_TRAFFIC,
    logLevel: 'error',
    exitOnStdinEof: false,
    ...readIdentityConfig(options.env),
  };
  const start = async (own: ApiConfig = config): Promise<NestFastifyApplication> => {
    const app = await createApplication(own, GenericApi.register(own, options.imports));
    await startApplication(app, own);
    return app;
  };
  const peers: NestFastifyApplication[] = [];
  let app = await start();
  const url = `http://127.0.0.1:${config.port}`;
  await client(app).create(namespaces as KindDefinition, { metadata: { name: 'default' } });

  return {
    url,
    home,
    get app() {
      return app;
    },
    get client() {
      return client(app);
    },
    get store() {
      return app.get(PostgresStore);
    },
    get certificate() {
      return readFileSync(join(home, 'tls', 'tls.crt'), 'utf8');
    },
    nodeToken: (nodeName) => exchangeNodeToken({ baseUrl: url, token: NODE_TOKEN, nodeName }),
    request: (method, path, body, headers) => request(url, method, path, body, headers),
    async peer() {
      const own = { ...config, port: await getPort(), tlsDir: undefined };
      const peer = await start(own);
      peers.push(peer);
      const peerUrl = `http://127.0.0.1:${own.port}`;
      return { url: peerUrl, app: peer, request: (method, path, body, headers) => request(peerUrl, method, path, body, headers) };
    },
    async restart() {
      await app.close();
      app = await start();
    },
    async stop() {
      for (const peer of peers) await peer.close();
      await app.close();
      await postgres.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

const client = (app: NestFastifyApplication): ObjectClient => app.get<ObjectClient>(OBJECT_CLIENT);

/** As a child process, the way the launcher does it. */
async function migrate({ url }: EmbeddedPostgres): Promise<void> {
  await promisify(execFile)(process.execPath, ['--conditions=@corral/source', join(ROOT, 'prisma/migrate.ts')], { env: { PATH: process.env['PATH'], DATABASE_URL: url } });
}

async function request(url: string, method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<ApiAnswer> {
  const answer = await fetch(`${url}${path}`, {
    method,
    redirect: 'manual',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await answer.text();
  const isJson = answer.headers.get('content-type')?.startsWith('application/json') ?? false;
  const parsed = isJson && text !== '' && !text.includes('\n{') ? (JSON.parse(text) as unknown) : undefined;
  return { status: answer.status, headers: answer.headers, text, body: parsed as AnswerBody };
}
