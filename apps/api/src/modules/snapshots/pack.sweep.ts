import { Inject, Injectable, Optional } from '@nestjs/common';
import { PACK_DELETION_WINDOW_MS, PACK_PREFIX, virtualMachines, virtualMachineSnapshots, type ObjectClient } from '@corral/contracts';
import { ObjectStore, type ObjectInfo } from '@corral/object-store';
import { systemTimers, type Timers } from '@corral/reconcile';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';
import { layersOfMachine, layersOfSnapshot, namedLayers } from './layer-roots.ts';
import { PackGarbage } from './pack-garbage.ts';
import { StorageMetrics } from './storage-metrics.ts';

/** Looked at in one sweep; the next goes on where it ended. */
const PACKS_PER_SWEEP = 50_000;
const DELETED_PER_SWEEP = 5_000;
const DELETED_AT_ONCE = 500;

/** Removes packs that no snapshot and no machine needs any more. Only the leader of the storage sweep may use it. */
@Injectable()
export class PackSweep {
  readonly #garbage = new PackGarbage();
  /** The last key looked at, while a round through the store is not complete. */
  #cursor: string | undefined;
  /** Bytes seen in this round. */
  #bytes = { needed: 0, unnamed: 0 };

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(ObjectStore) private readonly store: ObjectStore,
    @Inject(Informers) informers: Informers,
    @Inject(StorageMetrics) private readonly metrics: StorageMetrics,
    @Optional() private readonly timers: Timers = systemTimers,
  ) {
    // What comes and goes between two sweeps was named too, and somebody may be restoring from it.
    informers.of(virtualMachineSnapshots).onChange((_key, snapshot) => this.#garbage.noteNamed(layersOfSnapshot(snapshot)));
    informers.of(virtualMachines).onChange((_key, vm) => this.#garbage.noteNamed(layersOfMachine(vm)));
  }

  /** To be called when this process begins to lead. */
  begin(): void {
    this.#garbage.forget();
    this.#cursor = undefined;
    this.#bytes = { needed: 0, unnamed: 0 };
  }

  /** Says how many packs it removed. */
  async sweep(now: Date, signal?: AbortSignal): Promise<number> {
    // Bytes first, objects second: what is named in between is seen.
    const packs = await this.#nextPacks(signal);
    const elapsedMs = this.timers.now();
    const named = await namedLayers(this.objects);
    this.#measure(packs, named);
    const due = this.#garbage.look({ packs, named, now, elapsedMs }).slice(0, DELETED_PER_SWEEP);
    let removed = 0;
    for (let at = 0; at < due.length && !signal?.aborted; at += DELETED_AT_ONCE) removed += await this.#delete(due.slice(at, at + DELETED_AT_ONCE), signal);
    return removed;
  }

  #measure(packs: readonly ObjectInfo[], named: ReadonlySet<string>): void {
    for (const { key, sizeBytes } of packs) this.#bytes[named.has(key) ? 'needed' : 'unnamed'] += sizeBytes;
    if (this.#cursor !== undefined) return;
    for (const state of ['needed', 'unnamed'] as const) this.metrics.packBytes.set({ state }, this.#bytes[state]);
    this.#bytes = { needed: 0, unnamed: 0 };
  }

  async #nextPacks(signal?: AbortSignal): Promise<ObjectInfo[]> {
    const packs: ObjectInfo[] = [];
    for await (const pack of this.store.list(PACK_PREFIX, signal, this.#cursor)) {
      packs.push(pack);
      if (packs.length === PACKS_PER_SWEEP) {
        this.#cursor = pack.key;
        return packs;
      }
    }
    this.#cursor = undefined;
    return packs;
  }

  /**
   * Asks once more what is named, and is done a fixed time after it asked, whatever becomes of it: a snapshot that names one
   * of these from now on looks after that time whether its pack is still there.
   */
  async #delete(due: readonly string[], signal?: AbortSignal): Promise<number> {
    const decidedAt = this.timers.now();
    const named = await namedLayers(this.objects);
    this.#garbage.noteNamed(named);
    const keys = due.filter((key) => !named.has(key));
    const leftMs = decidedAt + PACK_DELETION_WINDOW_MS / 2 - this.timers.now();
    if (leftMs < 1) return 0;
    const deadline = AbortSignal.timeout(Math.floor(leftMs));
    await this.store.deleteAll(keys, signal ? AbortSignal.any([signal, deadline]) : deadline);
    this.#garbage.noteGone(keys);
    this.metrics.packsRemoved.inc(keys.length);
    return keys.length;
  }
}
