import { type Disposer, systemClock } from '@corral/base';
import { Connection } from '@corral/client';
import { SIGNING_KEYS_PATH } from '@corral/contracts';
import { type Logger } from 'pino';
import { type WorkerConfig } from '../config.ts';
import { AccessTokens } from '../data-plane/access-token.ts';
import { PublicKeys } from '../data-plane/public-keys.ts';
import { DataPlaneServer } from '../data-plane/server.ts';
import { type Supervisor } from '../machine/supervisor.ts';
import { UsageReader } from '../machine/usage.reader.ts';
import { type NodeLease } from './lease.ts';
import { type Metrics } from './metrics.ts';
import { type NodeCredential } from './node-credential.ts';
import { advertisedHost } from './registration.ts';

/** Somebody waits for the answer to a request that needs a key. */
const KEYS_DEADLINE_MS = 3_000;

export interface NodeDataPlaneOptions {
  readonly config: WorkerConfig;
  readonly credential: NodeCredential;
  readonly userAgent: string;
  readonly metrics: Metrics;
  readonly supervisor: Supervisor;
  readonly lease: Pick<NodeLease, 'isHeld'>;
  /** Closes what is open. */
  readonly disposer: Disposer;
  readonly log: Logger;
}

/** Serves this node's machines from now on, while it holds its Lease. Resolves to the server, and the URL at which gateways reach it. */
export async function openDataPlane(options: NodeDataPlaneOptions): Promise<{ readonly server: DataPlaneServer; readonly url: string }> {
  const { config: { dataPlane: { host, port, url }, apiUrl, nodeName }, credential, userAgent, metrics, supervisor, lease, disposer, log } = options;
  const api = new Connection({ baseUrl: apiUrl, token: () => credential.token(), userAgent, deadlineMs: KEYS_DEADLINE_MS });
  const keys = new PublicKeys({
    fetch: () => api.json({ method: 'GET', path: SIGNING_KEYS_PATH }),
    now: () => performance.now(),
    onFailure: (error) => log.debug({ err: error }, 'The keys of the API could not be read again; those known go on'),
  });
  const usage = new UsageReader(supervisor, systemClock);
  disposer.add(() => usage.close());
  const server = new DataPlaneServer({
    host,
    port,
    log,
    metrics,
    tokens: new AccessTokens(keys, nodeName),
    usage: () => usage.read(),
    // Asked for every request: a process that was stopped may hear of requests before it hears of its timers.
    isServing: () => lease.isHeld,
    endpoint: (uid) => supervisor.endpoint(uid),
    lastScreen: (uid) => supervisor.lastScreen(uid),
  });
  const boundPort = await server.listen();
  disposer.add(() => server.close());
  return { server, url: url ?? `http://${advertisedHost(host)}:${boundPort}` };
}
