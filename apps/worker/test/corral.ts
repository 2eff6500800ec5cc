import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createReadStream, mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { HttpObjectClient } from '@corral/client';
import {
  type Condition,
  DATA_PLANE_TOKEN_TYPE,
  dataPlaneAudience,
  type DataPlaneOperation,
  dataPlanePath,
  type ExecResult,
  findCondition,
  nodes,
  Problem,
  PROBLEMS,
  SIGNING_KEYS_PATH,
  type VirtualMachine,
  virtualMachineImages,
  virtualMachines,
  type VirtualMachineSnapshot,
  virtualMachineSnapshots,
  type VirtualMachineSpec,
} from '@corral/contracts';
import { type EmbeddedRedis, startObjectStore, startPostgres, startRedis } from '@corral/embedded';
import { guestImages, S3FaultProxy, until } from '@corral/testing';
import getPort from 'get-port';
import { importJWK, SignJWT, type CryptoKey, type JWK } from 'jose';
import pg from 'pg';

const ROOT = resolve(import.meta.dirname, '../../..');
export const NODE_NAME = 'worker-1';
export const IMAGE = 'linux-minimal';
const ADMIN_TOKEN = 'admin-token-of-the-tests';

export type Wish = Pick<VirtualMachineSpec, 'source'> & Partial<VirtualMachineSpec>;

/** A whole Corral of real processes: PostgreSQL, Redis, S3 behind a proxy that can fail, the API, and one worker. */
export class Corral {
  readonly client: HttpObjectClient;
  readonly s3: S3FaultProxy;
  readonly redis: EmbeddedRedis;
  readonly home: string;
  readonly url: string;
  readonly adminToken = ADMIN_TOKEN;
  /** What its processes are started with. */
  readonly env: NodeJS.ProcessEnv;
  readonly #stops: (() => Promise<unknown>)[];
  #worker: ChildProcess | undefined;

  private constructor(parts: {
    url: string;
    home: string;
    env: NodeJS.ProcessEnv;
    s3: S3FaultProxy;
    redis: EmbeddedRedis;
    stops: (() => Promise<unknown>)[];
  }) {
    this.url = parts.url;
    this.env = parts.env;
    this.#stops = parts.stops;
    this.home = parts.home;
    this.s3 = parts.s3;
    this.redis = parts.redis;
    this.client = new HttpObjectClient({ baseUrl: parts.url, token: ADMIN_TOKEN });
  }

  /** Up, with the default image baked; `more` is added to what its processes are started with. */
  static async start(more: Readonly<Record<string, string>> = {}): Promise<Corral> {
    const corral = await Corral.startWithoutWorker(more);
    corral.startWorker();
    await corral.register();
    return corral;
  }

  /** Up, without an image and without anybody to bake it. */
  static async startWithoutWorker(more: Readonly<Record<string, string>> = {}): Promise<Corral> {
    await promisify(execFile)(
      process.execPath,
      [join(ROOT, 'node_modules/typescript/bin/tsc'), '-b', 'apps/api', 'apps/worker'],
      { cwd: ROOT },
    );
    const home = mkdtempSync(join(tmpdir(), 'corral-worker-'));
    const { firmwareDirectory } = await guestImages();
    const [postgres, redis, store] = await Promise.all([
      startPostgres({ home, durability: 'Test' }),
      startRedis({ home }),
      startObjectStore({ home, durability: 'Test' }),
    ]);
    const s3 = await S3FaultProxy.start(store.url);
    const port = await getPort();
    const url = `http://127.0.0.1:${port}`;
    const env: NodeJS.ProcessEnv = {
      PATH: process.env['PATH'],
      DATABASE_URL: postgres.url,
      REDIS_URL: redis.url,
      S3_ENDPOINT: s3.url,
      S3_REGION: store.region,
      S3_ACCESS_KEY_ID: store.accessKeyId,
      S3_SECRET_ACCESS_KEY: store.secretAccessKey,
      CORRAL_ADMIN_TOKEN: ADMIN_TOKEN,
      CORRAL_NODE_TOKEN: 'node-token-of-the-tests',
      CORRAL_BAKE_SETTLE_SECONDS: '0',
      CORRAL_FORK_GATHERING_SECONDS: '8',
      CORRAL_PORT: String(port),
      CORRAL_API_URL: url,
      CORRAL_HOME: home,
      CORRAL_TLS_DIR: join(home, 'tls'),
      CORRAL_WORKER_HOME: join(home, 'worker'),
      CORRAL_FIRMWARE_DIR: firmwareDirectory,
      CORRAL_NODE_NAME: NODE_NAME,
      CORRAL_EXIT_ON_STDIN_EOF: '1',
      ...more,
    };
    await promisify(execFile)(process.execPath, ['--conditions=@corral/source', join(ROOT, 'prisma/migrate.ts')], {
      env,
    });
    const api = launch('api', home, env);
    await until(async () => (await fetch(`${url}/readyz`).catch(() => undefined))?.ok, {
      timeoutMs: 60_000,
      what: 'the API',
    });
    return new Corral({
      url,
      home,
      env,
      s3,
      redis,
      stops: [
        () => endOf(api, 'SIGTERM'),
        () => postgres.stop(),
        () => redis.stop(),
        () => store.stop(),
        () => s3.stop(),
      ],
    });
  }

  async stop(): Promise<void> {
    await this.stopWorker();
    for (const stop of this.#stops) await stop();
    rmSync(this.home, { recursive: true, force: true });
  }

  /** Ends the worker; resolves when it is gone. */
  stopWorker(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    return this.#worker ? endOf(this.#worker, signal) : Promise.resolve();
  }

  /** `through` is a program that carries it out in another surrounding: see unshare(1). */
  startWorker({ env = {}, through = [] }: { readonly env?: Readonly<Record<string, string>>; readonly through?: readonly string[] } = {}): number {
    this.#worker = launch('worker', this.home, { ...this.env, ...env }, 'worker', through);
    return this.#worker.pid ?? 0;
  }

  get workerHome(): string {
    return join(this.home, 'worker');
  }

  get workerLog(): string {
    return readFileSync(join(this.home, 'worker.log'), 'utf8');
  }

  /** Process ids of the VM processes of this worker that live. */
  vmProcesses(): number[] {
    return vmProcessesIn(this.workerHome);
  }

  /** The VM process that serves the machine's incarnation. */
  vmProcessOf(vm: VirtualMachine): number {
    const log = this.workerLog
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { msg: string; vm?: string; incarnation?: number; pid?: number });
    const pid = log.findLast(
      (line) => line.vm === vm.metadata.uid && line.incarnation === vm.status?.incarnation && line.pid !== undefined,
    )?.pid;
    if (pid === undefined) throw new Error(`The worker has logged no process of ${vm.metadata.name}`);
    return pid;
  }

  /** Creates a machine and waits until it is Ready. */
  async run(name: string, wish: Wish = { source: { image: IMAGE } }): Promise<VirtualMachine> {
    await this.create(name, wish);
    return this.ready(name);
  }

  create(name: string, wish: Wish): Promise<VirtualMachine> {
    return this.client.create(virtualMachines, {
      metadata: { name, namespace: 'default' },
      spec: wish as VirtualMachineSpec,
    });
  }

  async get(name: string): Promise<VirtualMachine> {
    const vm = await this.client.get(virtualMachines, 'default', name);
    if (!vm) throw new Problem('object.not-found', `VirtualMachine "${name}" is gone`);
    return vm;
  }

  /** The machine, once `test` holds. */
  async when(
    name: string,
    what: string,
    test: (vm: VirtualMachine) => unknown,
    timeoutMs = 180_000,
  ): Promise<VirtualMachine> {
    let seen: VirtualMachine | undefined;
    try {
      return await until(async () => ((seen = await this.get(name)), test(seen) ? seen : undefined), {
        timeoutMs,
        what: `${name}: ${what}`,
      });
    } catch (error) {
      throw new Error(`${(error as Error).message}; seen last: ${JSON.stringify(seen?.status)}`, { cause: error });
    }
  }

  ready(name: string, incarnation?: number): Promise<VirtualMachine> {
    return this.when(
      name,
      'Ready',
      (vm) => readyOf(vm)?.status === 'True' && (incarnation === undefined || vm.status?.incarnation === incarnation),
    );
  }

  /** Changes the machine's spec, whoever else writes it meanwhile. */
  async want(name: string, change: Partial<VirtualMachineSpec>): Promise<void> {
    for (;;) {
      const vm = await this.get(name);
      try {
        await this.client.replace(virtualMachines, { ...vm, spec: { ...(vm.spec as VirtualMachineSpec), ...change } });
        return;
      } catch (error) {
        if (!(error instanceof Problem && error.code === 'object.conflict')) throw error;
      }
    }
  }

  takeSnapshot(name: string, virtualMachine: string): Promise<VirtualMachineSnapshot> {
    return this.client.create(virtualMachineSnapshots, {
      metadata: { name, namespace: 'default' },
      spec: { virtualMachine },
    });
  }

  async snapshotWhen(
    name: string,
    what: string,
    test: (snapshot: VirtualMachineSnapshot) => unknown,
    timeoutMs = 180_000,
  ): Promise<VirtualMachineSnapshot> {
    return until(
      async () => {
        const snapshot = await this.client.get(virtualMachineSnapshots, 'default', name);
        return snapshot && test(snapshot) ? snapshot : undefined;
      },
      { timeoutMs, what: `${name}: ${what}` },
    );
  }

  /** A request to the node's data plane, with a token for exactly that unless another is given. */
  async dataPlane(
    vm: VirtualMachine,
    operation: DataPlaneOperation,
    init: RequestInit = {},
    token?: string,
  ): Promise<Response> {
    const incarnation = vm.status?.incarnation ?? 0;
    const node = await this.client.get(nodes, undefined, NODE_NAME);
    const bearer = token ?? (await this.signToken(vm.status?.nodeName ?? '', { uid: vm.metadata.uid, incarnation, operation }));
    return fetch(
      `${node?.status?.corral?.dataPlaneUrl ?? ''}${dataPlanePath(vm.metadata.uid, incarnation, operation)}`,
      {
        ...init,
        headers: { ...(init.headers as Record<string, string>), authorization: `Bearer ${bearer}` },
      },
    );
  }

  async exec(name: string, command: string): Promise<ExecResult> {
    const answer = await this.dataPlane(await this.get(name), 'exec', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ command: ['sh', '-c', command] }),
    });
    if (!answer.ok) throw new Error(`exec: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as ExecResult;
  }

  /**
   * Runs a command through the API, on whatever node the machine is. On a busy host a node's Lease may lapse for a moment: then it
   * answers that it is fenced, or the API that it cannot be reached, and callers come again. Anything else is an answer.
   */
  async execAnywhere(name: string, command: string): Promise<ExecResult> {
    const answer = await until(
      async () => {
        const tried = await fetch(`${this.url}/apis/corral.dev/v1/namespaces/default/virtualmachines/${name}/exec`, {
          method: 'POST',
          headers: { ...ADMIN, 'content-type': 'application/json' },
          body: JSON.stringify({ command: ['sh', '-c', command] }),
        });
        return tried.status === 503 && (await isWithoutLease(tried.clone())) ? undefined : tried;
      },
      { timeoutMs: 20_000, what: `${name} takes commands` },
    );
    if (!answer.ok) throw new Error(`exec: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as ExecResult;
  }

  /** As the API signs, with the newest key of its database unless another is given. */
  async signToken(nodeName: string, claims: object, { key, lifetime = '60s' }: { readonly key?: CryptoKey; readonly lifetime?: string } = {}): Promise<string> {
    const { kid, privateKey } = await this.#signingKey();
    return new SignJWT({ ...claims })
      .setProtectedHeader({ alg: 'ES256', kid, typ: DATA_PLANE_TOKEN_TYPE })
      .setAudience(dataPlaneAudience(nodeName))
      .setIssuedAt()
      .setExpirationTime(lifetime)
      .sign(key ?? privateKey);
  }

  async #signingKey(): Promise<{ readonly kid: string; readonly privateKey: Awaited<ReturnType<typeof importJWK>> }> {
    // There is one once somebody asked.
    await (await fetch(`${this.url}${SIGNING_KEYS_PATH}`)).arrayBuffer();
    const database = new pg.Client({ connectionString: this.env['DATABASE_URL'] });
    await database.connect();
    try {
      const { rows } = await database.query<{ id: string; private_key: JWK }>('SELECT id, private_key FROM signing_keys ORDER BY created_at DESC LIMIT 1');
      const [row] = rows;
      if (!row) throw new Error('The API has no signing key');
      return { kid: row.id, privateKey: await importJWK(row.private_key, 'ES256') };
    } finally {
      await database.end();
    }
  }

  /** What the launcher does on a first start. */
  async register(): Promise<void> {
    const image = await (await guestImages()).image(IMAGE);
    const artifacts: Record<string, { url: string }> = {};
    for (const [role, { file, sha256 }] of Object.entries(image.artifacts)) {
      const answer = await fetch(`${this.url}/apis/corral.dev/v1/artifacts?sha256=${sha256}`, {
        method: 'POST',
        duplex: 'half',
        body: createReadStream(join(image.directory, file)),
        headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/octet-stream' },
      } as unknown as RequestInit);
      if (!answer.ok) throw new Error(`artifact: ${answer.status} ${await answer.text()}`);
      artifacts[role] = { url: `artifact:${sha256}` };
    }
    const { commandLine, memory, guestAgent, acpi } = image;
    await this.client.create(virtualMachineImages, {
      metadata: { name: IMAGE },
      spec: { commandLine, memory, guestAgent, acpi, ...artifacts },
    });
    await until(
      async () => (await this.client.get(virtualMachineImages, undefined, IMAGE))?.status?.goldenSnapshots?.length,
      { timeoutMs: 120_000, what: 'the golden snapshot' },
    );
  }
}

/** The node says so of itself, or the API of the node. */
const isWithoutLease = async (answer: Response): Promise<boolean> => {
  const { reason } = (await answer.json()) as { reason?: string };
  return reason === PROBLEMS['node.fenced'].reason || reason === PROBLEMS['node.unreachable'].reason;
};

export const ADMIN = { authorization: `Bearer ${ADMIN_TOKEN}` };

export const readyOf = (object: {
  readonly status?: { readonly conditions?: readonly Condition[] | undefined };
}): Condition | undefined => findCondition(object.status?.conditions, 'Ready');

/** Logs to `<name>.log` in the home. */
export function launch(app: 'api' | 'worker', home: string, env: NodeJS.ProcessEnv, name: string = app, through: readonly string[] = []): ChildProcess {
  const log = openSync(join(home, `${name}.log`), 'a');
  const [program = process.execPath, ...args] = [...through, process.execPath, join(ROOT, `apps/${app}/dist/main.js`)];
  return spawn(program, args, { env, stdio: ['pipe', log, log] });
}

export async function endOf(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once('exit', done));
  child.kill(signal);
  await ended;
}

/** Process ids of the VM processes of a worker that live. */
export const vmProcessesIn = (workerHome: string): number[] =>
  readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && isVmProcessOf(pid, workerHome));

/** A VM process works in a folder of its own below its worker's home. */
function isVmProcessOf(pid: number, workerHome: string): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !/\) Z /.test(stat) && readlinkSync(`/proc/${pid}/cwd`).startsWith(join(workerHome, 'processes'));
  } catch {
    return false;
  }
}
