import { type Clock } from '@corral/base';
import { type NodeMemoryStatus, findCondition, type Node, type NodeStatus, type ObjectClient, Problem, withCondition } from '@corral/contracts';
import { Registration } from './registration.ts';

/** An API that holds one Node, and counts what is read of it and written to it. */
class OneNode {
  node: Node | undefined;
  reads = 0;
  writes = 0;
  #version = 0;

  readonly client = {
    get: async () => {
      this.reads += 1;
      return this.node;
    },
    create: async (_kind: unknown, node: Node) => this.#keep({ ...node, metadata: { ...node.metadata, labels: node.metadata.labels ?? {} } }),
    replace: async (_kind: unknown, node: Node) => this.#keep(node),
    replaceStatus: async (_kind: unknown, node: Node) => {
      if (!this.node) throw new Problem('object.not-found', 'gone');
      if (node.metadata.resourceVersion !== this.node.metadata.resourceVersion) throw new Problem('object.conflict', 'changed');
      return this.#keep(node);
    },
  } as unknown as ObjectClient;

  get status(): NodeStatus | undefined {
    return this.node?.status;
  }

  get ready(): string {
    const ready = findCondition(this.status?.conditions, 'Ready');
    return `${ready?.status} ${ready?.reason}`;
  }

  /** As somebody else does it. */
  change(change: (node: Node) => Node): void {
    if (this.node) this.#put(change(this.node));
  }

  #keep(node: Node): Node {
    this.writes += 1;
    return this.#put(node);
  }

  #put(node: Node): Node {
    return (this.node = { ...node, metadata: { ...node.metadata, resourceVersion: String((this.#version += 1)) } });
  }
}

let api: OneNode;
let nowMs: number;
let images: string[];
let snapshots: string[];
let registration: Registration;
const NO_USE: NodeMemoryStatus = { budgetBytes: 100, heldBytes: 0, sharedBytes: 0, compressedBytes: 0, swappedBytes: 0, faults: 0, swapIns: 0, swapOuts: 0 };
let memoryUse = NO_USE;
beforeEach(async () => {
  memoryUse = NO_USE;
  [api, nowMs, images, snapshots] = [new OneNode(), Date.parse('2026-01-01T00:00:00Z'), [], []];
  const clock: Clock = { now: () => new Date(nowMs) };
  registration = sharedBy(1, clock);
  await registration.register();
  [api.reads, api.writes] = [0, 0];
});

const sharedBy = (workersOnHost: number, clock: Clock): Registration =>
  new Registration({
    client: api.client, nodeName: 'worker-1', dataPlaneUrl: 'http://127.0.0.1:1', v86Build: 'build', machinesMax: 10,
    reservedMemoryMiB: 512, workersOnHost, memory: { mode: 'Full', reason: '' }, clock, machines: () => 0, bases: () => ({ bases: 1, storedBytes: 4096, users: 0, mappedBytes: 0, askedFrames: 0, fetchedBytes: 0 }), pressure: () => ({ isPressing: false, reason: 'SufficientMemory', message: '' }), memoryUse: () => memoryUse, images: () => images, snapshots: (limit) => Promise.resolve(snapshots.slice(0, limit)),
  });

it('workers of one host offer together what one would offer alone', async () => {
  const memoryOf = (of: 'capacity' | 'allocatable'): number => Number(api.status?.[of]?.['memory']);
  const [capacity, allocatable] = [memoryOf('capacity'), memoryOf('allocatable')];
  await sharedBy(3, { now: () => new Date(nowMs + 3_600_000) }).report();
  for (const [of, alone] of [['capacity', capacity], ['allocatable', allocatable]] as const) {
    expect(3 * memoryOf(of)).toBeLessThanOrEqual(alone);
    expect(3 * memoryOf(of)).toBeGreaterThan(alone - 6);
  }
});

/** What happens every time the lease is renewed. */
async function renewals(count: number): Promise<void> {
  for (let renewal = 0; renewal < count; renewal += 1) {
    nowMs += 10_000;
    await registration.report();
  }
}

describe('The Node of a node agent', () => {
  it('is written to when there is something to tell, and once a minute', async () => {
    await renewals(5);
    expect(api.writes).toBe(0);
    await renewals(6);
    expect(api.writes).toBe(1);
  });

  it('says with its heartbeat what machines’ RAM takes, and is not written to for that alone', async () => {
    expect(api.status?.corral?.memory).toEqual(NO_USE);
    memoryUse = { ...NO_USE, heldBytes: 50, swappedBytes: 20, swapOuts: 5 };
    await renewals(5);
    expect([api.writes, api.status?.corral?.memory]).toEqual([0, NO_USE]);
    await renewals(2);
    expect([api.writes, api.status?.corral?.memory]).toEqual([1, memoryUse]);
  });

  it('is not read before it is written to, unless somebody else changed it', async () => {
    await renewals(12);
    expect([api.reads, api.writes]).toEqual([0, 2]);
    api.change((node) => ({ ...node, spec: { unschedulable: true } }));
    await renewals(6);
    expect([api.reads, api.writes, api.node?.spec?.unschedulable]).toEqual([1, 3, true]);
  });

  it('is Ready again at the first renewal after a silence for which the API had taken it for lost', async () => {
    const lost = { type: 'Ready', status: 'Unknown', reason: 'NodeStatusUnknown' } as const;
    nowMs += 41_000;
    api.change((node) => ({ ...node, status: { ...node.status, conditions: withCondition(node.status?.conditions, lost, new Date(nowMs)) } }));
    await renewals(1);
    expect([api.ready, api.writes]).toEqual(['True AgentReady', 1]);
  });

  it('says which snapshots are at hand, at most fifty, when that changes, and not when only their order does', async () => {
    snapshots = Array.from({ length: 60 }, (_, index) => `digest-${index}`);
    await renewals(2);
    expect([api.status?.corral?.snapshots, api.writes]).toEqual([snapshots.slice(0, 50).sort(), 1]);
    snapshots = snapshots.slice(0, 50).reverse();
    await renewals(2);
    expect(api.writes).toBe(1);
  });

  it('says which images start at once here, when that changes', async () => {
    images = ['linux-minimal'];
    await renewals(3);
    expect([api.status?.corral?.images, api.writes]).toEqual([['linux-minimal'], 1]);
  });

  it('is made again within a minute when somebody deleted it, but not while the agent leaves', async () => {
    api.node = undefined;
    await renewals(6);
    expect(api.ready).toBe('True AgentReady');
    await registration.leave();
    await renewals(2);
    expect(api.ready).toBe('False AgentStopping');
    api.node = undefined;
    await renewals(7);
    expect(api.node).toBeUndefined();
  });
});
