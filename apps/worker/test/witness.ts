import { setTimeout as delay } from 'node:timers/promises';
import { type KindDefinition, type KubeObject, type VirtualMachine, virtualMachines, virtualMachineSnapshots } from '@corral/contracts';
import { type Corral } from './corral.ts';
import { type HerdWorker } from './herd.ts';

/** Who ran what, as the API told it. */
interface Life {
  readonly uid: string;
  readonly incarnation: number;
  readonly nodeName: string;
}

/**
 * Follows machines and snapshots from one list by nothing but a watch, without ever listing again, and remembers every life
 * the API has accepted. What it finds wrong is told by `problems`.
 */
export class Witness {
  readonly #corral: Corral;
  readonly #abort = new AbortController();
  readonly #objects = new Map<string, KubeObject>();
  readonly #lives: Life[] = [];
  readonly #problems: string[] = [];
  #running: Promise<unknown> = Promise.resolve();

  private constructor(corral: Corral) {
    this.#corral = corral;
  }

  static async start(corral: Corral): Promise<Witness> {
    const witness = new Witness(corral);
    const follows = [virtualMachines, virtualMachineSnapshots].map(async (kind) => {
      const { items, resourceVersion } = await corral.client.list(kind as unknown as KindDefinition);
      for (const item of items) witness.#see(item);
      return () => witness.#follow(kind as unknown as KindDefinition, resourceVersion);
    });
    witness.#running = Promise.all((await Promise.all(follows)).map((follow) => follow()));
    return witness;
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  /** Empty when every invariant holds: one life, one node; incarnations only rise; the watch's replay is the list. */
  async problems(): Promise<readonly string[]> {
    const differences = async (): Promise<string[]> => {
      const lists = await Promise.all([virtualMachines, virtualMachineSnapshots].map((kind) => this.#corral.client.list(kind as unknown as KindDefinition)));
      const listed = new Map(lists.flatMap(({ items }) => items.map((item) => [keyOf(item), item.metadata.resourceVersion] as const)));
      const replayed = new Map([...this.#objects].map(([key, object]) => [key, object.metadata.resourceVersion] as const));
      return [...new Set([...listed.keys(), ...replayed.keys()])].filter((key) => listed.get(key) !== replayed.get(key)).map((key) => `${key}: listed at ${listed.get(key)}, replayed to ${replayed.get(key)}`);
    };
    // Writes go on: the two must agree at some moment, not at every.
    let last = await differences();
    for (let tries = 0; last.length > 0 && tries < 100; tries += 1) {
      await delay(50);
      last = await differences();
    }
    return [...this.#problems, ...last];
  }

  async #follow(kind: KindDefinition, from: string): Promise<void> {
    let resourceVersion = from;
    while (!this.#abort.signal.aborted) {
      try {
        for await (const { type, object } of this.#corral.client.watch(kind, { resourceVersion, signal: this.#abort.signal })) {
          resourceVersion = object.metadata.resourceVersion;
          if (type === 'DELETED') this.#objects.delete(keyOf(object));
          else if (type !== 'BOOKMARK') this.#see(object);
        }
      } catch (error) {
        if (!this.#abort.signal.aborted) this.#problems.push(`the watch of ${kind.plural} broke: ${String(error)}`);
        return;
      }
    }
  }

  #see(object: KubeObject): void {
    const before = this.#objects.get(keyOf(object));
    if (before && BigInt(before.metadata.resourceVersion) >= BigInt(object.metadata.resourceVersion)) this.#problems.push(`${keyOf(object)}: told twice, or backwards`);
    this.#objects.set(keyOf(object), object);
    if (object.kind === virtualMachines.kind) this.#seeMachine(object as VirtualMachine);
  }

  #seeMachine({ metadata: { uid, name }, status }: VirtualMachine): void {
    const { incarnation, nodeName } = status ?? {};
    if (!incarnation || nodeName === undefined) return;
    const lives = this.#lives.filter((life) => life.uid === uid);
    const highest = Math.max(0, ...lives.map((life) => life.incarnation));
    if (incarnation < highest) this.#problems.push(`${name}: incarnation ${incarnation} after ${highest}`);
    // What a lost machine was last is told by the next node too, until it starts there: with its end.
    const isLife = status?.phase === 'Starting' || status?.phase === 'Running' || status?.phase === 'Paused';
    const isOver = status?.lastTermination?.incarnation === incarnation;
    if (!isLife || isOver || lives.some((life) => life.incarnation === incarnation && life.nodeName === nodeName)) return;
    const elsewhere = lives.find((life) => life.incarnation === incarnation);
    if (elsewhere) this.#problems.push(`${name}: incarnation ${incarnation} on ${elsewhere.nodeName} and on ${nodeName}`);
    this.#lives.push({ uid, incarnation, nodeName });
  }
}

/** Processes of the machine that live, on whatever worker. */
export function livingProcesses(workers: readonly HerdWorker[], { metadata: { uid }, status }: VirtualMachine): { readonly worker: string; readonly incarnation: number }[] {
  const incarnations = Array.from({ length: status?.incarnation ?? 0 }, (_, index) => index + 1);
  return workers.flatMap((worker) => {
    const alive = worker.vmProcesses();
    return incarnations.filter((incarnation) => alive.includes(worker.processOf(uid, incarnation) ?? -1)).map((incarnation) => ({ worker: worker.name, incarnation }));
  });
}

const keyOf = ({ kind, metadata }: KubeObject): string => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;
