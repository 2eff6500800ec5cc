import {
  leases,
  NODE_LEASE_NAMESPACE,
  nodes,
  Problem,
  toKubeMicroTime,
  toKubeTime,
  virtualMachineImages,
  virtualMachines,
  virtualMachineSnapshots,
  withCondition,
  type KindDefinition,
  type Lease,
  type Node,
  type ObjectClient,
  type VirtualMachine,
} from '@corral/contracts';
import { Controller, Informer, pause, systemTimers, type ReconcileResult } from '@corral/reconcile';

/** As apps/worker does it. */
const LEASE_RENEW_MS = 10_000;
const LEASE_SECONDS = 40;
const RESYNC_MS = 10 * 60_000;
const STATUS_MS = 60_000;
const CONCURRENCY = 8;
const BUILD = 'simulated';
const MEMORY_MIB = 64;
const DONE: ReconcileResult = { type: 'Done' };

export interface FakeAgentOptions {
  readonly client: ObjectClient;
  readonly name: string;
  readonly machinesMax: number;
  onFailure(error: unknown): void;
}

/** A node agent that speaks the real protocol and runs nothing: what is bound to it starts at once. */
export class FakeAgent {
  readonly #options: FakeAgentOptions;
  #lease: Lease | undefined;
  #node: Node | undefined;

  constructor(options: FakeAgentOptions) {
    this.#options = options;
  }

  /** Follows what is bound to it, and renews its Lease until the signal aborts. `spread` in 0..1 says when in the period. */
  async run(signal: AbortSignal, spread: number): Promise<void> {
    const { client, name, onFailure } = this.#options;
    const mine = { fieldSelector: `spec.nodeName=${name}` };
    const follow = <Spec, Status>(kind: KindDefinition<Spec, Status>, options: object): Informer<Spec, Status> =>
      new Informer({ client, kind, options, resyncMs: RESYNC_MS, onFailure });
    const machines = follow(virtualMachines, mine);
    const informers = [machines, follow(virtualMachineSnapshots, mine), follow(virtualMachineImages, {})];
    const controller = new Controller({
      name,
      concurrency: CONCURRENCY,
      reconcile: ({ namespace, name: machine }) => this.#start(machines.get(namespace, machine)),
      onError: (_key, error) => {
        if (!(error instanceof Problem && error.code === 'object.conflict')) onFailure(error);
      },
    });
    machines.onChange((key) => controller.enqueue(key));
    controller.start();
    for (const informer of informers) informer.start(signal);

    await pause(systemTimers, spread * LEASE_RENEW_MS, signal);
    let reportedAt = systemTimers.now() - spread * STATUS_MS;
    while (!signal.aborted) {
      await this.#renew().catch(onFailure);
      if (systemTimers.now() - reportedAt >= STATUS_MS) {
        reportedAt = systemTimers.now();
        // Somebody else wrote, such as taints: it is read again.
        await this.#report().catch((error: unknown) => (error instanceof Problem && error.code === 'object.conflict' ? this.#report() : Promise.reject(error))).catch(onFailure);
      }
      await pause(systemTimers, LEASE_RENEW_MS, signal);
    }
    await Promise.all([controller.stop(), ...informers.map((informer) => informer.stopped())]);
  }

  async register(): Promise<void> {
    const { client, name } = this.#options;
    const labels = { 'kubernetes.io/hostname': name, 'corral.dev/v86-build': BUILD };
    if (!(await client.get(nodes, undefined, name))) await client.create(nodes, { metadata: { name, labels }, spec: {} });
    await this.#report();
    await this.#renew();
  }

  /** The node's status with its heartbeat, every minute, over what it wrote last. */
  async #report(): Promise<void> {
    const { client, name, machinesMax } = this.#options;
    const node = this.#node ?? (await client.get(nodes, undefined, name));
    this.#node = undefined;
    if (!node) return;
    const now = new Date();
    const resources = { cpu: '8', memory: '1Ti', 'corral.dev/machines': String(machinesMax) };
    const conditions = withCondition(node.status?.conditions, { type: 'Ready', status: 'True', reason: 'AgentReady', message: 'The node agent is ready' }, now);
    this.#node = await client.replaceStatus(nodes, {
      ...node,
      status: {
        ...node.status,
        capacity: resources,
        allocatable: resources,
        conditions: conditions.map((condition) => ({ ...condition, lastHeartbeatTime: toKubeTime(now) })),
        corral: { dataPlaneUrl: 'http://127.0.0.1:9', v86Build: BUILD, memoryMode: 'Copy', machines: 0, images: [] },
      },
    });
  }

  /** Writes over what it wrote last; only when somebody else did is the Lease read again. */
  async #renew(): Promise<void> {
    const { client, name } = this.#options;
    const spec = { holderIdentity: name, leaseDurationSeconds: LEASE_SECONDS, renewTime: toKubeMicroTime(new Date()) };
    try {
      this.#lease ??= await client.get(leases, NODE_LEASE_NAMESPACE, name);
      this.#lease = this.#lease
        ? await client.replace(leases, { ...this.#lease, spec: { ...this.#lease.spec, ...spec } })
        : await client.create(leases, { metadata: { name, namespace: NODE_LEASE_NAMESPACE }, spec });
    } catch (error) {
      this.#lease = undefined;
      throw error;
    }
  }

  /** Raises the incarnation before anything would exist, then says that it runs. */
  async #start(vm: VirtualMachine | undefined): Promise<ReconcileResult> {
    const { client, name } = this.#options;
    if (!vm || vm.spec?.nodeName !== name || vm.status?.phase === 'Running' || vm.metadata.deletionTimestamp !== undefined) return DONE;
    const incarnation = (vm.status?.incarnation ?? 0) + 1;
    const { generation } = vm.metadata;
    const status = { ...vm.status, nodeName: name, incarnation, observedGeneration: generation, startedAt: toKubeTime(new Date()), v86Build: BUILD, memoryMiB: MEMORY_MIB };
    const starting = await client.replaceStatus(virtualMachines, { ...vm, status: { ...status, phase: 'Starting' } });
    const conditions = withCondition(starting.status?.conditions, { type: 'Ready', status: 'True', reason: 'GuestReady', message: '' }, new Date(), generation);
    await client.replaceStatus(virtualMachines, { ...starting, status: { ...starting.status, phase: 'Running', conditions } });
    return DONE;
  }
}
