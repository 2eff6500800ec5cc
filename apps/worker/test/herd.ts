import { type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findCondition, nodes } from '@corral/contracts';
import { TcpProxy, until } from '@corral/testing';
import getPort from 'get-port';
import { Corral, endOf, launch, vmProcessesIn } from './corral.ts';

/** For tests of lost nodes: short, so that they take seconds, but long enough that a busy machine loses none by itself. */
export const SHORT_LEASE_SECONDS = 10;

export interface HerdOptions {
  /** The term of each worker's Lease: the product's own unless a test loses nodes. */
  readonly leaseSeconds?: number;
  /** Added to what its processes are started with. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A Corral with several workers. */
export interface Herd {
  readonly corral: Corral;
  readonly workers: readonly HerdWorker[];
  stop(): Promise<void>;
}

/** One worker of several, whose network can be cut. */
export class HerdWorker {
  readonly name: string;
  readonly home: string;
  /** Where gateways reach it; and where it listens, behind what can be cut. */
  readonly dataPlaneUrl: string;
  readonly localDataPlaneUrl: string;
  readonly #corral: Corral;
  readonly #paths: readonly TcpProxy[];
  readonly #env: NodeJS.ProcessEnv;
  #process: ChildProcess | undefined;

  private constructor(corral: Corral, name: string, paths: readonly TcpProxy[], env: NodeJS.ProcessEnv) {
    this.#corral = corral;
    this.name = name;
    this.home = join(corral.home, 'workers', name);
    this.#paths = paths;
    this.dataPlaneUrl = env['CORRAL_DATA_PLANE_URL'] ?? '';
    this.localDataPlaneUrl = `http://127.0.0.1:${env['CORRAL_DATA_PLANE_PORT']}`;
    this.#env = { ...corral.env, CORRAL_NODE_NAME: name, CORRAL_WORKER_HOME: this.home, ...env };
  }

  static async start(corral: Corral, name: string, { leaseSeconds }: HerdOptions): Promise<HerdWorker> {
    const port = await getPort();
    const [api, s3, dataPlane] = await Promise.all([
      TcpProxy.to(corral.url),
      TcpProxy.to(corral.s3.url),
      TcpProxy.start({ host: '127.0.0.1', port }),
    ]);
    const worker = new HerdWorker(corral, name, [api, s3, dataPlane], {
      CORRAL_API_URL: api.url,
      S3_ENDPOINT: s3.url,
      CORRAL_DATA_PLANE_PORT: String(port),
      CORRAL_DATA_PLANE_URL: dataPlane.url,
      CORRAL_POOL_SIZE: '1',
      ...(leaseSeconds === undefined ? {} : { CORRAL_LEASE_SECONDS: String(leaseSeconds) }),
      CORRAL_LOST_STATE_SECONDS: '2',
    });
    worker.launch();
    return worker;
  }

  /** Told to stop, it has its machines moved first. */
  movesOnStop(): void {
    this.#env['CORRAL_ON_STOP'] = 'move';
  }

  launch(): void {
    this.#process = launch('worker', this.#corral.home, this.#env, this.name);
  }

  /** As `kill -9`: its VM processes lose their agent and end by themselves. */
  async kill(): Promise<void> {
    if (this.#process) await endOf(this.#process, 'SIGKILL');
  }

  async stop(): Promise<void> {
    this.resume();
    if (this.#process) await endOf(this.#process, 'SIGTERM');
    for (const path of this.#paths) await path.stop();
  }

  /** As a service manager stops it. */
  async terminate(): Promise<void> {
    if (this.#process) await endOf(this.#process, 'SIGTERM');
  }

  /** Stands still; its VM processes run on. */
  pause(): void {
    this.#process?.kill('SIGSTOP');
  }

  resume(): void {
    this.#process?.kill('SIGCONT');
  }

  /** Nothing passes between it and the API, the object store and whoever wants its data plane. */
  cutOff(): void {
    for (const path of this.#paths) path.cut();
  }

  reconnect(): void {
    for (const path of this.#paths) path.heal();
  }

  /** Process ids of its VM processes that live, the pre-started ones too. */
  vmProcesses(): number[] {
    return vmProcessesIn(this.home);
  }

  get log(): string {
    return readFileSync(join(this.#corral.home, `${this.name}.log`), 'utf8');
  }

  /** The process it started for an incarnation of a machine; undefined when it never did. */
  processOf(uid: string, incarnation: number): number | undefined {
    const lines = this.log.trim().split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as { vm?: string; incarnation?: number; pid?: number }] : []));
    return lines.findLast((line) => line.vm === uid && line.incarnation === incarnation && line.pid !== undefined)?.pid;
  }

  async ready(status: 'True' | 'False' | 'Unknown' = 'True'): Promise<void> {
    await until(
      async () => findCondition((await this.#corral.client.get(nodes, undefined, this.name))?.status?.conditions, 'Ready')?.status === status,
      { timeoutMs: 60_000, what: `${this.name} is Ready=${status}` },
    );
  }
}

export async function startHerd(names: readonly string[], options: HerdOptions = {}): Promise<Herd> {
  const corral = await Corral.startWithoutWorker({ CORRAL_EVICTION_SECONDS: '1', CORRAL_EVICTED_NODES_PER_MINUTE: '600', ...options.env });
  const workers = await Promise.all(names.map((name) => HerdWorker.start(corral, name, options)));
  await Promise.all(workers.map((worker) => worker.ready()));
  await corral.register();
  return {
    corral,
    workers,
    async stop() {
      await Promise.all(workers.map((worker) => worker.stop()));
      await corral.stop();
    },
  };
}
