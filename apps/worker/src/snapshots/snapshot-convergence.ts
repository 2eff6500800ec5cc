import { posix } from 'node:path';
import { type Clock } from '@corral/base';
import {
  type ObjectClient,
  type ObjectKey,
  Problem,
  SNAPSHOT_DEADLINE_MS,
  type SnapshotTaken,
  type VirtualMachineSnapshot,
  virtualMachineSnapshots,
  type VirtualMachineSnapshotSpec,
  type VirtualMachineSnapshotStatus,
  type VirtualMachineSpec,
  type VirtualMachineStatus,
} from '@corral/contracts';
import { backoffMs, type EventRecorder, type Informer, type ReconcileResult } from '@corral/reconcile';
import { layerKeys, layersOf } from '@corral/memory';
import { type ObjectStore } from '@corral/object-store';
import { isAsleep, isLive } from '@corral/vm-lifecycle';
import { type Logger } from 'pino';
import { type PackedMoment } from '../frozen/frozen-moment.ts';
import { type Machine } from '../machine/machine.ts';
import { imagePartsOf } from '../machine/machine-folder.ts';
import { type PackCache } from '../machine/pack-cache.ts';
import { type Supervisor } from '../machine/supervisor.ts';
import { type ForkMoments } from './fork-moments.ts';
import { ProgressReport } from './progress-report.ts';
import { asFailure, Overtaken, SnapshotFailure } from './snapshot-failure.ts';
import { frozenState, type SnapshotMoment, writtenState } from './snapshot-moment.ts';
import { failed, type Facts, isPastDeadline, isUnderWay, notReady, verified } from './snapshot-status.ts';
import { totalBytesOf, uploadSnapshot } from './snapshot-upload.ts';
import { type Spool } from './spool.ts';

export interface SnapshotConvergenceOptions {
  readonly nodeName: string;
  readonly client: ObjectClient;
  readonly snapshots: Informer<VirtualMachineSnapshotSpec, VirtualMachineSnapshotStatus>;
  readonly machines: Informer<VirtualMachineSpec, VirtualMachineStatus>;
  readonly supervisor: Supervisor;
  readonly store: ObjectStore;
  readonly spool: Spool;
  readonly forks: ForkMoments;
  readonly packs: Pick<PackCache, 'pathOf'>;
  /** Whether this node may act on what is bound to it: it holds its Lease. */
  isServing(): boolean;
  readonly recorder: EventRecorder;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How often it failed, and when it may be tried again. */
interface Tries {
  readonly failures: number;
  readonly againAt: number;
}

const RETRY = { baseMs: 1_000, maxMs: 30_000 };
/** One try of an upload; the deadline of the whole is SNAPSHOT_DEADLINE_MS. */
const UPLOAD_DEADLINE_MS = 5 * 60_000;

/** Takes the snapshots bound to this node and brings them to the object store. */
export class SnapshotConvergence {
  readonly #options: SnapshotConvergenceOptions;
  readonly #moments = new Map<string, SnapshotMoment>();
  /** Snapshots begun by this agent: what another began is lost with its spool. */
  readonly #begun = new Set<string>();
  readonly #tries = new Map<string, Tries>();
  readonly #lost = new Map<string, number>();

  constructor(options: SnapshotConvergenceOptions) {
    this.#options = options;
  }

  async reconcile(key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> {
    const snapshot = await this.#current(key);
    if (!snapshot) return { type: 'Done' };
    try {
      return await this.#try(snapshot, signal);
    } catch (error) {
      if (!(error instanceof Overtaken)) throw error;
      await this.#forget(snapshot.metadata.uid);
      return { type: 'Done' };
    }
  }

  async #try(snapshot: VirtualMachineSnapshot, signal: AbortSignal): Promise<ReconcileResult> {
    // That the last try failed was told, and so is a reason to look at it: but none to try again at once.
    const restMs = (this.#tries.get(snapshot.metadata.uid)?.againAt ?? 0) - this.#options.clock.now().getTime();
    if (restMs > 0) return { type: 'RequeueAfter', delayMs: restMs };
    try {
      await this.#advance(snapshot, signal);
      // What is held for forks is forgotten when it is deleted, and not before.
      if (!snapshot.spec?.fork) await this.#forget(snapshot.metadata.uid);
      return { type: 'Done' };
    } catch (error) {
      if (error instanceof Problem || error instanceof Overtaken || signal.aborted) throw error;
      return this.#explain(snapshot, asFailure(error));
    }
  }

  /** What the API says of it; what is gone or not ours loses its spool. */
  async #current(key: ObjectKey): Promise<VirtualMachineSnapshot | undefined> {
    const { snapshots, nodeName } = this.#options;
    const snapshot = snapshots.get(key.namespace, key.name);
    const known = new Set(snapshots.list().map(({ metadata }) => metadata.uid));
    for (const uid of this.#begun) if (!known.has(uid)) await this.#forget(uid);
    return isUnderWay(snapshot, nodeName) ? snapshot : undefined;
  }

  async #advance(snapshot: VirtualMachineSnapshot, signal: AbortSignal): Promise<void> {
    const { clock, store, packs, recorder } = this.#options;
    const { uid, namespace = '' } = snapshot.metadata;
    const begunElsewhere = snapshot.status?.incarnation !== undefined && !this.#begun.has(uid);
    if (begunElsewhere)
      throw new SnapshotFailure('NodeRestarted', 'The node agent restarted while it took the snapshot', {
        final: true,
      });

    const moment = this.#moments.get(uid) ?? (await this.#take(snapshot));
    if (snapshot.spec?.fork) await this.#hold(uid, moment);
    if (snapshot.spec?.fork?.upload === false) {
      const message = 'It is here for the forks on this node; nobody elsewhere needs it';
      return this.#write(snapshot, (current) => notReady(current, 'Held', message, clock.now(), moment.facts));
    }
    const { directory, taken, manifest } = moment.packed ?? (await this.#pack(moment));
    const written: Facts = { ...moment.facts, layers: layerKeys(manifest) };
    const namedAtMs = (moment.namedAtMs ??= await this.#name(snapshot, written, taken));
    const progress = new ProgressReport(clock, (uploadedBytes) => this.#tellProgress(snapshot, written, taken, uploadedBytes));
    const manifestKey = await uploadSnapshot({
      store,
      directory,
      packPath: (sha256) => packs.pathOf(sha256),
      // What was stored of an earlier moment is other bytes, and nothing is ever replaced.
      keyPrefix: posix.join('snapshots', namespace, uid, moment.retake === 0 ? '' : `again-${moment.retake}`),
      namespace,
      taken,
      manifest,
      named: moment.namedBefore,
      namedAtMs,
      now: () => clock.now(),
      signal: AbortSignal.any([signal, AbortSignal.timeout(UPLOAD_DEADLINE_MS)]),
      checkRight: () => {
        if (!this.#options.isServing()) throw new SnapshotFailure('NodeFenced', 'The node has lost touch with the API and uploads nothing');
      },
      onProgress: (uploadedBytes) => progress.tell(uploadedBytes),
    });
    await progress.settled();

    const sizeBytes = totalBytesOf(taken);
    const facts: Facts = {
      ...written,
      manifestKey,
      digest: taken.manifest.sha256,
      sizeBytes,
      uploadedBytes: sizeBytes,
      totalBytes: sizeBytes,
    };
    await this.#write(snapshot, (current) => verified(current, facts, clock.now()));
    // What was frozen for others is nothing that the machine's own next snapshot builds on.
    if (!moment.frozen) this.#options.supervisor
      .find(facts.virtualMachineUid ?? '')
      ?.noteStored(facts.incarnation ?? 0, { snapshot: snapshot.metadata.name, digest: taken.manifest.sha256 });
    recorder.record(
      snapshot,
      'Normal',
      'SnapshotTaken',
      `${sizeBytes} bytes; the machine stood still for ${Math.round(moment.pauseMs)} ms`,
    );
  }

  async #take(snapshot: VirtualMachineSnapshot): Promise<SnapshotMoment> {
    const { clock, spool } = this.#options;
    const { uid } = snapshot.metadata;
    const { machine, incarnation } = this.#machineWithMemory(snapshot);
    const wanted = snapshot.status?.incarnation;
    // What runs now is not what was to be kept.
    if (wanted !== undefined && wanted !== incarnation)
      throw new SnapshotFailure('VirtualMachineNotRunning', 'The machine ended before its snapshot was taken', {
        final: true,
      });
    this.#begun.add(uid);
    await this.#write(snapshot, (current) =>
      notReady(current, 'Taking', '', clock.now(), { virtualMachineUid: machine.uid, incarnation }),
    );
    const parent = machine.lastSnapshotName ?? '';
    // Telling took a while: only this incarnation is what was told of.
    const directory = await spool.begin(uid);
    // Before its pages are held: nobody would let go of them.
    const record = await machine.folder.record();
    const isFrozen = snapshot.spec?.fork !== undefined && isLive(machine.state);
    const state = isFrozen ? await frozenState(machine, directory, incarnation) : await writtenState(machine, directory, incarnation);
    const { memoryMiB, v86Build, imageDigest } = state.machine;
    const vm = this.#options.machines.getByUid(machine.uid);
    const moment: SnapshotMoment = {
      retake: this.#lost.get(uid) ?? 0,
      ...state,
      ...(record ? { record } : {}),
      namedBefore: new Set(vm?.status?.lineage?.layers),
      facts: {
        virtualMachineUid: machine.uid,
        incarnation,
        parent,
        memoryMiB,
        v86Build,
        imageDigest,
        pauseMilliseconds: state.pauseMs,
        layers: layerKeys(state.liesOn),
        ...(record ? { image: record.image, imageParts: imagePartsOf(record) } : {}),
      },
    };
    this.#moments.set(uid, moment);
    return moment;
  }

  /** Machines of this node may go on from it from now on. */
  async #hold(uid: string, { packed, frozen, record, facts }: SnapshotMoment): Promise<void> {
    if (!record) throw new SnapshotFailure('SnapshotFailed', 'The machine has left no record of what it is made of', { final: true });
    const common = { incarnation: facts.incarnation ?? 0, record };
    if (frozen) await this.#options.forks.hold(uid, { type: 'Frozen', moment: frozen, ...common });
    else if (packed) await this.#options.forks.hold(uid, { type: 'Kept', directory: packed.directory, manifest: packed.manifest, digest: packed.taken.manifest.sha256, ...common });
  }

  /** What was frozen as a snapshot, on which those that began with it build from then on. */
  async #pack({ frozen }: SnapshotMoment): Promise<PackedMoment> {
    if (!frozen) throw new Error('A moment is written, or frozen');
    const packed = await frozen.packed();
    for (const machine of this.#options.supervisor.machines) void machine.moments.buildOn(frozen);
    return packed;
  }

  /** Says what the snapshot needs, before the first byte of it is sent: from then on nobody decides to delete that. */
  async #name(snapshot: VirtualMachineSnapshot, facts: Facts, taken: SnapshotTaken): Promise<number> {
    await this.#write(snapshot, (current) =>
      notReady(current, 'Uploading', '', this.#options.clock.now(), { ...facts, uploadedBytes: 0, totalBytes: totalBytesOf(taken) }),
    );
    return performance.now();
  }

  /** Digests of the packs that wait here to be uploaded. */
  neededPacks(): string[] {
    return [...this.#moments.values()].flatMap(({ frozen, liesOn }) => (frozen?.layers ?? layersOf(liesOn)).map(({ sha256 }) => sha256));
  }

  #machineWithMemory({ metadata, spec }: VirtualMachineSnapshot): { readonly machine: Machine; readonly incarnation: number } {
    const { machines, supervisor } = this.#options;
    const name = spec?.virtualMachine ?? '';
    const vm = machines.get(metadata.namespace, name);
    const machine = vm && supervisor.find(vm.metadata.uid);
    if (machine?.state.phase === 'Running' || machine?.state.phase === 'Paused') return { machine, incarnation: machine.state.run.incarnation };
    // One that sleeps has it on this node's disk.
    if (machine?.suspended && vm && isAsleep(vm)) return { machine, incarnation: vm.status?.incarnation ?? 0 };
    const willRun =
      vm &&
      vm.metadata.deletionTimestamp === undefined &&
      vm.spec?.powerState !== 'Stopped' &&
      machine?.state.phase !== 'Panicked';
    throw new SnapshotFailure('VirtualMachineNotRunning', `VirtualMachine "${name}" does not run on this node`, {
      final: !willRun,
    });
  }

  async #explain(
    snapshot: VirtualMachineSnapshot,
    { reason, message, final, cause }: SnapshotFailure,
  ): Promise<ReconcileResult> {
    const { clock, recorder, log } = this.#options;
    const { uid } = snapshot.metadata;
    const now = clock.now();
    // Of a live fork what was asked for is what the machine was then: later it is something else.
    const isTooLate = snapshot.spec?.fork !== undefined && !this.#moments.has(uid);
    const isLast = final || isTooLate || isPastDeadline(snapshot, now);
    log.warn({ snapshot: uid, reason, final: isLast, err: cause }, message);
    await this.#write(snapshot, (current) =>
      isLast ? failed(current, reason, message, now) : notReady(current, reason, message, now),
    );
    if (isLast) {
      recorder.record(snapshot, 'Warning', 'SnapshotFailed', `${reason}: ${message}`);
      await this.#forget(uid);
      return { type: 'Done' };
    }
    // The next try takes it anew, without what is lost; others may have begun with the moment of a fork.
    if (reason === 'PartLost' && !snapshot.spec?.fork && this.#moments.delete(uid)) this.#lost.set(uid, (this.#lost.get(uid) ?? 0) + 1);
    const untilDeadlineMs = Date.parse(snapshot.metadata.creationTimestamp) + SNAPSHOT_DEADLINE_MS - now.getTime();
    const failures = (this.#tries.get(uid)?.failures ?? 0) + 1;
    const delayMs = Math.max(1, Math.min(backoffMs(failures, RETRY), untilDeadlineMs));
    this.#tries.set(uid, { failures, againAt: now.getTime() + delayMs });
    return { type: 'RequeueAfter', delayMs };
  }

  async #tellProgress(
    snapshot: VirtualMachineSnapshot,
    facts: Facts,
    taken: SnapshotTaken,
    uploadedBytes: number,
  ): Promise<void> {
    const totalBytes = totalBytesOf(taken);
    await this.#write(snapshot, (current) =>
      notReady(current, 'Uploading', '', this.#options.clock.now(), { ...facts, uploadedBytes, totalBytes }),
    ).catch((error: unknown) => this.#options.log.debug({ err: error }, 'Upload progress could not be told'));
  }

  /**
   * Writes a status onto the object as it is now; a lost compare-and-set reads again. Throws Overtaken where this node has
   * no say in it any more.
   */
  async #write(
    snapshot: VirtualMachineSnapshot,
    statusOf: (current: VirtualMachineSnapshot) => VirtualMachineSnapshotStatus,
  ): Promise<void> {
    const { client, snapshots, nodeName } = this.#options;
    const { namespace, name, uid } = snapshot.metadata;
    let current: VirtualMachineSnapshot | undefined = snapshots.getByUid(uid);
    for (let triesLeft = 5; ; triesLeft--) {
      if (current?.metadata.uid !== uid || !isUnderWay(current, nodeName)) throw new Overtaken();
      try {
        snapshots.observe(
          await client.replaceStatus(virtualMachineSnapshots, { ...current, status: statusOf(current) }),
        );
        return;
      } catch (error) {
        if (!(error instanceof Problem && error.code === 'object.conflict') || triesLeft === 0) throw error;
        current = await client.get(virtualMachineSnapshots, namespace, name);
      }
    }
  }

  async #forget(uid: string): Promise<void> {
    this.#moments.delete(uid);
    this.#options.forks.drop(uid);
    this.#begun.delete(uid);
    this.#tries.delete(uid);
    this.#lost.delete(uid);
    await this.#options.spool.remove(uid);
  }
}

