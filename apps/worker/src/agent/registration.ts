import { cpus, release, arch, hostname, networkInterfaces, platform, totalmem } from 'node:os';
import { readFile } from 'node:fs/promises';
import { type Clock } from '@corral/base';
import {
  type ConditionUpdate,
  findCondition,
  MIB,
  type Node,
  nodes,
  type NodeMemoryStatus,
  type NodeStatus,
  type ObjectClient,
  Problem,
  toKubeTime,
  withCondition,
} from '@corral/contracts';
import { type MemoryPressure } from '../memory/memory-pressure.ts';
import { type MemoryCapability } from '@corral/memory';
import { type BaseTotals } from '../bases/base-images.ts';

export interface RegistrationOptions {
  readonly client: ObjectClient;
  readonly nodeName: string;
  readonly dataPlaneUrl: string;
  readonly v86Build: string;
  readonly machinesMax: number;
  /** Kept for the agents of this host and everything else on it. */
  readonly reservedMemoryMiB: number;
  /** Node agents that divide the host's memory among them. */
  readonly workersOnHost: number;
  /** How machines' RAM is held here. */
  readonly memory: MemoryCapability;
  readonly clock: Clock;
  /** How many machines run here now. */
  machines(): number;
  /** The RAM that machines share. */
  bases(): BaseTotals;
  /** Whether there is too little memory for what runs here. */
  pressure(): MemoryPressure;
  /** What machines' RAM takes. */
  memoryUse(): NodeMemoryStatus;
  /** Images whose machines start at once here. */
  images(): readonly string[];
  /** Digests of the `limit` most recently used snapshots at hand here. */
  snapshots(limit: number): Promise<readonly string[]>;
}

const CORRAL_VERSION = 'v0.1.0';
/** As many as Kubernetes's nodes tell of images. Source: nodeStatusMaxImages. */
const MAX_TOLD_SNAPSHOTS = 50;
const HEARTBEAT_PERIOD_MS = 60_000;
/** Whoever was silent for longer than two renewals may have been taken for lost. */
const AWAY_MS = 25_000;

/** This node as the API sees it: created when missing, its status kept true. */
export class Registration {
  readonly #options: RegistrationOptions;
  #isLeaving = false;
  #isEmptying = false;
  #told = '';
  #toldAt = 0;
  #reportedAt = 0;
  /** The Node as it was after our last write: what is written over, so that a thousand nodes do not read before they write. */
  #known: Node | undefined;

  constructor(options: RegistrationOptions) {
    this.#options = options;
  }

  /** Creates or adopts the Node object, so that its labels and status are ours. */
  async register(): Promise<void> {
    const { client, nodeName, v86Build } = this.#options;
    const labels = {
      'kubernetes.io/hostname': nodeName,
      'kubernetes.io/arch': 'amd64',
      'kubernetes.io/os': 'linux',
      'corral.dev/v86-build': v86Build,
    };
    const known = await client.get(nodes, undefined, nodeName);
    if (!known) await client.create(nodes, { metadata: { name: nodeName, labels }, spec: {} });
    else if (Object.entries(labels).some(([key, value]) => known.metadata.labels?.[key] !== value)) {
      await client.replace(nodes, {
        ...known,
        metadata: { ...known.metadata, labels: { ...known.metadata.labels, ...labels } },
      });
    }
    await this.report();
  }

  /** Asks for its machines to be moved away, because the node agent is to stop. */
  async empty(): Promise<void> {
    [this.#isLeaving, this.#isEmptying] = [true, true];
    await this.report();
  }

  /** Says that the node agent stops: nothing is bound to it from now on, and what is still here stays. */
  async leave(): Promise<void> {
    [this.#isLeaving, this.#isEmptying] = [true, false];
    await this.report();
  }

  /**
   * Writes the status when something changed or when its heartbeat is old; and after a silence when the API has taken the
   * node for lost. That somebody deleted the Node, or changed it, is found out by the next write.
   */
  async report(): Promise<void> {
    const { client, nodeName, clock, machines, bases, pressure, images, snapshots } = this.#options;
    const ready = readyOf(this.#isLeaving);
    // In one order, so that using a snapshot is no news.
    const held = [...(await snapshots(MAX_TOLD_SNAPSHOTS))].sort();
    // How many bytes they take grows a little all the time, and is told with the next heartbeat.
    const fingerprint = `${ready.status} ${machines()} ${bases().bases} ${bases().users} ${images().join()} ${held.join()} ${this.#isEmptying} ${pressure().reason}`;
    const now = clock.now();
    const isNews = fingerprint !== this.#told || now.getTime() - this.#toldAt >= HEARTBEAT_PERIOD_MS;
    const wasAway = now.getTime() - this.#reportedAt > AWAY_MS;
    const mine = wasAway ? undefined : this.#known;
    this.#reportedAt = now.getTime();
    if (mine && !isNews) return;

    this.#known = undefined;
    const node = mine ?? (await client.get(nodes, undefined, nodeName));
    // Somebody deleted it; a node that lives is there.
    if (!node) return this.#isLeaving ? undefined : this.register();
    const told = findCondition(node.status?.conditions, 'Ready');
    if (isNews || told?.status !== ready.status || told.reason !== ready.reason) {
      const status = await this.#statusOf(node, ready, held, now);
      const written = await client.replaceStatus(nodes, { ...node, status }).catch((error: unknown) => {
        if (mine && error instanceof Problem && (error.code === 'object.conflict' || error.code === 'object.not-found')) return undefined;
        throw error;
      });
      if (!written) return this.report();
      this.#known = written;
      this.#told = fingerprint;
      this.#toldAt = now.getTime();
    } else {
      this.#known = node;
    }
  }

  async #statusOf(node: Node, ready: ConditionUpdate, held: string[], now: Date): Promise<NodeStatus> {
    const { dataPlaneUrl, v86Build, memory: capability, machinesMax, reservedMemoryMiB, workersOnHost, machines, bases, pressure, memoryUse, images } = this.#options;
    const memory = Math.floor(usableMemoryBytes() / workersOnHost);
    const { bases: count, storedBytes, users } = bases();
    const conditions = withCondition(withCondition(node.status?.conditions, ready, now), pressureOf(pressure()), now).map((condition) =>
      condition.type === 'Ready' ? { ...condition, lastHeartbeatTime: toKubeTime(now) } : condition,
    );
    return {
      ...node.status,
      capacity: { cpu: String(cpus().length), memory: String(memory), 'corral.dev/machines': String(machinesMax) },
      allocatable: {
        cpu: String(cpus().length),
        memory: String(allocatableMemoryBytes({ reservedMemoryMiB, workersOnHost })),
        'corral.dev/machines': String(machinesMax),
      },
      conditions,
      addresses: [
        { type: 'InternalIP', address: new URL(dataPlaneUrl).hostname.replace(/^\[|\]$/g, '') },
        { type: 'Hostname', address: hostname() },
      ],
      nodeInfo: await hostInfo(v86Build),
      corral: { dataPlaneUrl, v86Build, memoryMode: capability.mode, ...(capability.reason === '' ? {} : { memoryModeReason: capability.reason }), machines: machines(), bases: { count, bytes: storedBytes, users }, memory: memoryUse(), images: [...images()], snapshots: held, ...(this.#isEmptying ? { isEmptying: true } : {}) },
    };
  }
}

/** Reasons are Corral's own, the type is Kubernetes's. */
const pressureOf = ({ isPressing, reason, message }: MemoryPressure): ConditionUpdate => ({ type: 'MemoryPressure', status: isPressing ? 'True' : 'False', reason, message });

/** What machines may have of this host's memory. */
export function allocatableMemoryBytes({ reservedMemoryMiB, workersOnHost }: Pick<RegistrationOptions, 'reservedMemoryMiB' | 'workersOnHost'>): number {
  return Math.max(0, Math.floor(usableMemoryBytes() / workersOnHost) - Math.ceil((reservedMemoryMiB * MIB) / workersOnHost));
}

function readyOf(isLeaving: boolean): ConditionUpdate {
  const type = 'Ready';
  if (!isLeaving) return { type, status: 'True', reason: 'AgentReady', message: 'The node agent is ready' };
  return { type, status: 'False', reason: 'AgentStopping', message: 'The node agent stops and suspends its machines' };
}

/** What the host has, or what its container may use. */
function usableMemoryBytes(): number {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}

async function hostInfo(v86Build: string): Promise<NonNullable<NodeStatus['nodeInfo']>> {
  const read = async (path: string): Promise<string> => (await readFile(path, 'utf8').catch(() => '')).trim();
  const machineID = await read('/etc/machine-id');
  const osRelease = await read('/etc/os-release');
  return {
    architecture: arch() === 'x64' ? 'amd64' : arch(),
    bootID: await read('/proc/sys/kernel/random/boot_id'),
    containerRuntimeVersion: `v86://${v86Build}`,
    kernelVersion: release(),
    kubeProxyVersion: '',
    kubeletVersion: CORRAL_VERSION,
    machineID,
    operatingSystem: platform(),
    osImage: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease)?.[1] ?? '',
    systemUUID: machineID,
  };
}

/** The address other machines reach this one at, for a data plane that listens on every interface. */
export function advertisedHost(listenHost: string): string {
  if (listenHost !== '0.0.0.0' && listenHost !== '::') return listenHost;
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { address, family, internal } of addresses ?? []) if (family === 'IPv4' && !internal) return address;
  }
  return '127.0.0.1';
}
