import { createHash } from 'node:crypto';
import { Inject, Injectable, Optional } from '@nestjs/common';
import { assertNever, systemClock, type Clock } from '@corral/base';
import { CHECKPOINT_LABEL, findCondition, isSnapshotOver, virtualMachines, virtualMachineSnapshots, type ObjectClient, type ObjectKey, type VirtualMachine, type VirtualMachineSnapshot } from '@corral/contracts';
import { Backoff, EventRecorder, type ReconcileResult } from '@corral/reconcile';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';
import { after, DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';
import { OwnSnapshots } from '../snapshots/own-snapshots.ts';
import { isCheckpoint, planCheckpoints } from './checkpoint.plan.ts';

const BACKOFF = { baseMs: 15_000, maxMs: 15 * 60_000 };
/** What was created or deleted a moment ago is in the copy by then. */
const SETTLE_MS = 1_000;

interface Failure {
  /** The attempt it was, so that it counts once. */
  readonly attempt: string;
  readonly retryAt: Date;
}

/** Takes checkpoints of machines as their policies ask for, and removes those they no longer keep. */
@Injectable()
export class CheckpointReconciler implements Reconciler {
  readonly name = 'checkpoints';
  readonly concurrency = 4;
  readonly triggers: readonly Trigger[];
  readonly #snapshotsOf: (machine: string) => readonly VirtualMachineSnapshot[];
  readonly #backoff = new Backoff({ ...BACKOFF, random: Math.random });
  readonly #failures = new Map<string, Failure>();
  readonly #own: OwnSnapshots;

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(EventRecorder) private readonly events: EventRecorder,
    @Inject(Reconcilers) reconcilers: Reconcilers,
    @Optional() private readonly clock: Clock = systemClock,
  ) {
    this.#own = new OwnSnapshots(CHECKPOINT_LABEL, objects, informers);
    this.#snapshotsOf = informers.of(virtualMachineSnapshots).index(({ metadata, spec }) => `${metadata.namespace}/${spec?.virtualMachine}`);
    this.triggers = [
      on(virtualMachines, (key, vm) => (vm?.spec?.checkpointPolicy ? [key] : [])),
      on(virtualMachineSnapshots, ({ namespace }, snapshot) => {
        const name = snapshot?.spec?.virtualMachine;
        return name !== undefined && informers.of(virtualMachines).get(namespace, name)?.spec?.checkpointPolicy ? [{ namespace, name }] : [];
      }),
    ];
    reconcilers.add(this);
  }

  async reconcile({ namespace, name }: ObjectKey): Promise<ReconcileResult> {
    const vm = this.informers.of(virtualMachines).get(namespace, name);
    if (!vm?.spec?.checkpointPolicy) {
      this.#forget(`${namespace}/${name}`);
      return DONE;
    }
    const key = `${namespace}/${name}`;
    // Whatever the name says: a machine that was made anew has no part in its namesake's.
    const snapshots = this.#snapshotsOf(key).filter(({ status }) => status?.virtualMachineUid === undefined || status.virtualMachineUid === vm.metadata.uid);
    const now = this.clock.now();
    const retryAt = this.#retryAt(key, vm, snapshots, now);
    const plan = planCheckpoints({ vm, snapshots, retryAt, spread: spreadOf(vm.metadata.uid), now });
    for (const { metadata } of plan.remove) await this.objects.delete(virtualMachineSnapshots, metadata.namespace, metadata.name, { uid: metadata.uid });
    if (plan.take !== undefined) return this.#take(key, vm, plan.take, now);
    return plan.lookAgainAt ? after(Math.max(SETTLE_MS, plan.lookAgainAt.getTime() - now.getTime())) : DONE;
  }

  /** When the next may be tried, where the last one failed. */
  #retryAt(key: string, vm: VirtualMachine, snapshots: readonly VirtualMachineSnapshot[], now: Date): Date | undefined {
    const [last] = snapshots.filter(isCheckpoint).sort((a, b) => Date.parse(b.metadata.creationTimestamp) - Date.parse(a.metadata.creationTimestamp));
    const ready = findCondition(last?.status?.conditions, 'Ready');
    if (last && ready?.status === 'True') this.#forget(key);
    else if (last && isSnapshotOver(last) && last.metadata.deletionTimestamp === undefined) this.#fail(key, vm, last.metadata.uid, `${ready?.reason}: ${ready?.message}`, now);
    return this.#failures.get(key)?.retryAt;
  }

  async #take(key: string, vm: VirtualMachine, name: string, now: Date): Promise<ReconcileResult> {
    const taking = await this.#own.take(vm, name);
    switch (taking.type) {
      case 'Taken':
        return DONE;
      case 'Exists':
        return after(SETTLE_MS);
      case 'Refused':
        // A quota that is used up, or a machine that went this moment: not to be tried at once.
        return after(this.#fail(key, vm, name, taking.message, now).retryAt.getTime() - now.getTime());
      default:
        return assertNever(taking, 'taking');
    }
  }

  #fail(key: string, vm: VirtualMachine, attempt: string, message: string, now: Date): Failure {
    const known = this.#failures.get(key);
    if (known?.attempt === attempt) return known;
    const failure = { attempt, retryAt: new Date(now.getTime() + this.#backoff.next(key)) };
    this.#failures.set(key, failure);
    this.events.record(vm, 'Warning', 'CheckpointFailed', message);
    return failure;
  }

  #forget(key: string): void {
    this.#failures.delete(key);
    this.#backoff.forget(key);
  }
}

/** The same place for the same machine, whoever leads: from 0 to 1. */
const spreadOf = (uid: string): number => createHash('sha256').update(uid).digest().readUInt32LE() / 2 ** 32;
