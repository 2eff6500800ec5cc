import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer, isIPv6 } from 'node:net';
import { join } from 'node:path';
import { HttpObjectClient } from '@corral/client';
import { logTail, rotateLog } from '@corral/embedded';
import { z } from 'zod';
import { seconds, type Terminal } from '../terminal/terminal.ts';
import { showBanner } from './banner.ts';
import { buildIfStale } from './build.ts';
import { runChild, startChild, type Running } from './child.ts';
import type { LauncherConfig } from './config.ts';
import { checkDependencies, openDependencies, type Dependencies } from './dependencies.ts';
import { DEFAULT_IMAGE, ensureDefaultImage, registerImages } from './images.ts';
import { kubeconfig } from './kubeconfig.ts';
import { LaunchFailure } from './launch-failure.ts';
import { untilBaked, untilNodeReady, untilServing } from './readiness.ts';
import { loadSecrets, writePrivately, type Secrets } from './secrets.ts';
import type { Supervisor } from './supervisor.ts';
import { prepareSystem } from './system.ts';

const API_STOP_TIMEOUT_MS = 20_000;
/** A worker suspends its machines to disk before it goes. */
const WORKER_STOP_TIMEOUT_MS = 90_000;
const BAKE_TIMEOUT_MS = 180_000;

interface Launch {
  readonly root: string;
  readonly config: LauncherConfig;
  /** What the launcher itself was started with; children inherit it. */
  readonly environment: NodeJS.ProcessEnv;
  readonly supervisor: Supervisor;
  readonly terminal: Terminal;
}

/** Brings a whole Corral up and says how to use it. Throws LaunchFailure in words for people. */
export async function launch(launching: Launch): Promise<void> {
  const { root, config, environment, supervisor, terminal } = launching;
  const started = performance.now();
  const logs = join(config.home, 'logs');
  mkdirSync(logs, { recursive: true });
  await prepareSystem(config.home, environment, terminal, supervisor.stopping);
  await checkPort(config);
  await checkDependencies(config);
  const secrets = loadSecrets(config.home);
  writePrivately(join(config.home, 'admin-token'), secrets.adminToken);

  const image = ensureDefaultImage(root, config.home, environment, terminal, supervisor.stopping);
  image.catch(() => undefined); // Awaited below; until then other failures may come first.
  const [, dependencies] = await settleBoth(build(launching), openDependencies(config, logs, supervisor, terminal));
  await migrate(launching, dependencies, logs);
  const baseUrl = `http://${authority(config)}`;
  await startApi(launching, dependencies, secrets, logs, baseUrl);
  await image;

  const client = new HttpObjectClient({ baseUrl, token: secrets.adminToken });
  terminal.doing('Images', 'registering');
  const images = await registerImages(config.home, baseUrl, secrets.adminToken, terminal);
  terminal.done('Images', `registered: ${images.map(({ name }) => name).join(', ')}`);
  await startWorkers(launching, dependencies, secrets, logs, client, baseUrl);
  await bake(launching, client);

  writeKubeconfig(config, secrets);
  showBanner(terminal, {
    home: config.home,
    cwd: process.cwd(),
    baseUrl,
    signInUrl: await makeSignInLink(baseUrl, secrets.adminToken),
    kernelFlavor: images.find(({ name }) => name === DEFAULT_IMAGE)?.kernelFlavor ?? 'stock',
    elapsed: seconds(performance.now() - started),
  });
}

async function build({ root, environment, terminal, supervisor }: Launch): Promise<void> {
  const started = performance.now();
  const outcome = await buildIfStale(root, environment, terminal, supervisor.stopping);
  terminal.done('Build', outcome === 'UpToDate' ? 'up to date' : `compiled in ${seconds(performance.now() - started)}`);
}

async function migrate(
  { root, environment, terminal, supervisor }: Launch,
  { databaseUrl }: Dependencies,
  logs: string,
): Promise<void> {
  terminal.doing('Database', 'migrating');
  let last = '';
  const { exitCode, errors } = await runChild(
    {
      args: ['--conditions=@corral/source', '--disable-warning=ExperimentalWarning', join(root, 'prisma/migrate.ts')],
      cwd: root,
      environment: { ...environment, DATABASE_URL: databaseUrl },
    },
    (line) => {
      last = line;
    },
    supervisor.stopping,
  );
  supervisor.stopping.throwIfAborted();
  if (exitCode !== 0)
    throw new LaunchFailure(`The database could not be migrated: ${errors}\n${logTail(join(logs, 'postgres.log'))}`);
  terminal.done('Database', last.toLowerCase());
}

async function startApi(
  { root, config, environment, supervisor, terminal }: Launch,
  dependencies: Dependencies,
  secrets: Secrets,
  logs: string,
  baseUrl: string,
): Promise<void> {
  terminal.doing('API', 'starting');
  const logFile = join(logs, 'api.log');
  rotateLog(logFile);
  const start = async (): Promise<Running> => {
    const running = startChild({
      args: ['--disable-warning=ExperimentalWarning', join(root, 'apps/api/dist/main.js')],
      environment: {
        ...environment,
        ...dependencyEnvironment(dependencies, config),
        DATABASE_URL: dependencies.databaseUrl,
        CORRAL_HOST: config.host,
        CORRAL_PORT: String(config.port),
        CORRAL_ADMIN_TOKEN: secrets.adminToken,
        CORRAL_NODE_TOKEN: secrets.nodeToken,
        CORRAL_CONSOLE_DIR: join(root, 'apps/console/dist'),
        CORRAL_TLS_DIR: join(config.home, 'tls'),
      },
      cwd: root,
      logFile,
      stopTimeoutMs: API_STOP_TIMEOUT_MS,
    });
    await startedOrStopped(running, untilServing(baseUrl, running, supervisor.stopping), logFile);
    return running;
  };
  await supervisor.start('API', start);
  terminal.done('API', baseUrl);
}

async function startWorkers(
  { root, config, environment, supervisor, terminal }: Launch,
  dependencies: Dependencies,
  secrets: Secrets,
  logs: string,
  client: HttpObjectClient,
  apiUrl: string,
): Promise<void> {
  const names = Array.from({ length: config.workers }, (_, index) => `worker-${index + 1}`);
  await Promise.all(
    names.map(async (name) => {
      const title = `Worker ${name}`;
      terminal.doing(title, 'starting');
      const logFile = join(logs, `${name}.log`);
      rotateLog(logFile);
      const home = join(config.home, 'workers', name);
      mkdirSync(home, { recursive: true, mode: 0o700 });
      await supervisor.start(title, async () => {
        const since = new Date();
        const running = startChild({
          args: ['--disable-warning=ExperimentalWarning', join(root, 'apps/worker/dist/main.js')],
          environment: {
            ...environment,
            ...dependencyEnvironment(dependencies, config),
            CORRAL_API_URL: apiUrl,
            CORRAL_NODE_TOKEN: secrets.nodeToken,
            CORRAL_NODE_NAME: name,
            CORRAL_WORKER_HOME: home,
            CORRAL_WORKERS_ON_HOST: String(config.workers),
            CORRAL_DATA_PLANE_HOST: '127.0.0.1',
            CORRAL_DATA_PLANE_PORT: '0',
            CORRAL_FIRMWARE_DIR: join(config.home, 'images', 'firmware'),
          },
          cwd: root,
          logFile,
          stopTimeoutMs: WORKER_STOP_TIMEOUT_MS,
        });
        await startedOrStopped(running, untilNodeReady(client, name, since, supervisor.stopping), logFile);
        return running;
      });
      terminal.done(title, 'ready');
    }),
  );
}

/** Waits for a child to be of use; when it ends before or takes too long, it is stopped and its log's end is told. */
async function startedOrStopped(running: Running, ready: Promise<void>, logFile: string): Promise<void> {
  ready.catch(() => undefined);
  const endedEarly = running.ended.then((how) => {
    throw new LaunchFailure(`It ended at once (${how})`);
  });
  try {
    await Promise.race([ready, endedEarly]);
  } catch (error) {
    await running.stop();
    if (!(error instanceof LaunchFailure)) throw error;
    throw new LaunchFailure(`${error.message}. The end of ${logFile}:\n${logTail(logFile)}`, { cause: error });
  } finally {
    endedEarly.catch(() => undefined);
  }
}

function dependencyEnvironment({ redisUrl, objectStore }: Dependencies, { bucket }: LauncherConfig): NodeJS.ProcessEnv {
  return {
    REDIS_URL: redisUrl,
    S3_ENDPOINT: objectStore.endpoint,
    S3_REGION: objectStore.region,
    S3_BUCKET: bucket,
    S3_ACCESS_KEY_ID: objectStore.accessKeyId,
    S3_SECRET_ACCESS_KEY: objectStore.secretAccessKey,
  };
}

async function bake({ terminal, supervisor }: Launch, client: HttpObjectClient): Promise<void> {
  const name = 'Golden snapshot';
  const started = performance.now();
  terminal.doing(name, `of ${DEFAULT_IMAGE}`);
  const outcome = await untilBaked(
    client,
    DEFAULT_IMAGE,
    BAKE_TIMEOUT_MS,
    (state) => terminal.doing(name, state),
    supervisor.stopping,
  );
  if (outcome.type === 'Baked') {
    terminal.done(name, `of ${DEFAULT_IMAGE}, after ${seconds(performance.now() - started)}`);
    return;
  }
  terminal.idle(name);
  terminal.warn(`${DEFAULT_IMAGE} has no golden snapshot, so machines boot from the BIOS (${outcome.why})`);
}

function writeKubeconfig({ home, host, port }: LauncherConfig, { adminToken }: Secrets): void {
  const file = join(home, 'kubeconfig');
  const certificateFile = join(home, 'tls', 'tls.crt');
  const certificate = existsSync(certificateFile) ? readFileSync(certificateFile, 'utf8') : undefined;
  const server = `${certificate === undefined ? 'http' : 'https'}://${authority({ host, port })}`;
  writePrivately(file, kubeconfig({ server, certificate, token: adminToken }));
}

const SignInLink = z.object({ url: z.string() });

async function makeSignInLink(baseUrl: string, token: string): Promise<string> {
  const response = await fetch(`${baseUrl}/auth/sign-in-links`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new LaunchFailure(`The API made no sign-in link (${response.status})`);
  return SignInLink.parse(await response.json()).url;
}

/** Host and port to connect to: an address that means "all of this machine" is none. */
function authority({ host, port }: Pick<LauncherConfig, 'host' | 'port'>): string {
  const address = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `${isIPv6(address) ? `[${address}]` : address}:${port}`;
}

async function checkPort({ host, port }: LauncherConfig): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const what: Record<string, string> = {
        EADDRINUSE: `CORRAL_PORT: port ${port} on ${host} is in use; stop what uses it, or set CORRAL_PORT to another`,
        EACCES: `CORRAL_PORT: this user may not listen on port ${port}`,
        EADDRNOTAVAIL: `CORRAL_HOST: ${host} is no address of this machine`,
        ENOTFOUND: `CORRAL_HOST: ${host} is not known`,
      };
      reject(
        new LaunchFailure(what[error.code ?? ''] ?? `CORRAL_HOST: cannot listen on ${host}:${port} (${error.code})`),
      );
    });
    server.listen(port, host, () => server.close(() => resolve()));
  });
}

/** Both, or the first failure once neither is at work any more. */
async function settleBoth<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([a, b]);
  return Promise.all([a, b]);
}
