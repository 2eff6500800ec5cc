import { Inject, Injectable } from '@nestjs/common';
import { assertNever, systemClock } from '@corral/base';
import {
  formatBytes,
  MAX_HIBERNATE_AFTER_SECONDS,
  MIB,
  nodes,
  Problem,
  virtualMachineImages,
  virtualMachines,
  virtualMachineSnapshots,
  withCondition,
  type ConditionUpdate,
  type GoldenSnapshot,
  type ObjectClient,
  type ObjectKey,
  type VirtualMachineImage,
} from '@corral/contracts';
import { Backoff, EventRecorder, systemTimers, type ReconcileResult } from '@corral/reconcile';
import { API_CONFIG, type ApiConfig } from '../../platform/config/api-config.ts';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';
import { after, DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';
import { writeStatus } from '../controllers/write-status.ts';
import { isBakeable, planBake, type BakePlan, type BakeStep, type WantedBake } from './bake.plan.ts';
import { BAKING_NAMESPACE, imageOwnerOf, ownedBy } from './owned-by-image.ts';

/** Nodes carry their build as a label; a golden snapshot is tied to one. */
const V86_BUILD_LABEL = 'corral.dev/v86-build';
const BACKOFF = { baseMs: 15_000, maxMs: 10 * 60_000 };

/**
 * Keeps a golden snapshot of every image that holds the guest agent, for its default memory and each v86 build among the
 * nodes. Baking is running a machine and taking a snapshot of it; nothing about it is special to the node.
 */
@Injectable()
export class BakeReconciler implements Reconciler {
  readonly name = 'bake';
  readonly concurrency = 2;
  readonly triggers: readonly Trigger[];
  readonly #backoff = new Backoff({ ...BACKOFF, random: Math.random });
  /** Image name → when, on the monotonic clock, a failed bake may be tried again, and what went wrong. */
  readonly #failures = new Map<string, { readonly attempt: string; readonly retryAt: number; readonly message: string }>();

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(EventRecorder) private readonly events: EventRecorder,
    @Inject(API_CONFIG) private readonly config: ApiConfig,
    @Inject(Reconcilers) reconcilers: Reconcilers,
  ) {
    const ownerKeys = (object: Parameters<typeof imageOwnerOf>[0] | undefined): ObjectKey[] => {
      const owner = object && imageOwnerOf(object);
      return owner ? [{ namespace: '', name: owner.name }] : [];
    };
    this.triggers = [
      on(virtualMachineImages),
      // What is gone names no owner any more; the few objects of baking make looking at every image cheap.
      on(virtualMachines, ({ namespace }, vm) => (vm ? ownerKeys(vm) : namespace === BAKING_NAMESPACE ? this.#everyImage() : [])),
      on(virtualMachineSnapshots, ({ namespace }, snapshot) => (snapshot ? ownerKeys(snapshot) : namespace === BAKING_NAMESPACE ? this.#everyImage() : [])),
      on(nodes, () => this.#everyImage()),
    ];
    reconcilers.add(this);
  }

  async reconcile({ name }: ObjectKey): Promise<ReconcileResult> {
    const image = this.informers.of(virtualMachineImages).get(undefined, name);
    if (!image) {
      this.#failures.delete(name);
      this.#backoff.forget(name);
      return DONE;
    }
    const isOwned = (object: Parameters<typeof imageOwnerOf>[0]): boolean => imageOwnerOf(object)?.uid === image.metadata.uid;
    const machines = this.informers.of(virtualMachines).list().filter(isOwned);
    const snapshots = this.informers.of(virtualMachineSnapshots).list().filter(isOwned);
    const plan = planBake({ image, nodes: this.informers.of(nodes).list(), machines, snapshots, settleMs: this.config.bakeSettleMs, now: systemClock.now() });
    if (!plan) return DONE;

    let waitMs = Infinity;
    for (const step of plan.steps) waitMs = Math.min(waitMs, await this.#perform(image, step));
    if (isBakeable(image)) await this.#report(image, plan);
    else if (image.metadata.deletionTimestamp === undefined) await this.#forgetBaking(image);
    return waitMs === Infinity ? DONE : after(waitMs);
  }

  /** Does one step; says after how many milliseconds to look again, Infinity when a change will call. */
  async #perform(image: VirtualMachineImage, step: BakeStep): Promise<number> {
    switch (step.type) {
      case 'CreateMachine': {
        const leftMs = (this.#failures.get(image.metadata.name)?.retryAt ?? 0) - systemTimers.now();
        if (leftMs > 0) return leftMs;
        await this.#createMachine(image, step.bake);
        return Infinity;
      }
      case 'TakeSnapshot':
        await created(
          this.objects.create(virtualMachineSnapshots, {
            metadata: { name: step.bake.name, namespace: BAKING_NAMESPACE, ownerReferences: [ownedBy(image)] },
            spec: { virtualMachine: step.machine },
          }),
        );
        return Infinity;
      case 'DeleteMachine':
        await this.objects.delete(virtualMachines, BAKING_NAMESPACE, step.name);
        return Infinity;
      case 'DeleteSnapshot':
        await this.objects.delete(virtualMachineSnapshots, BAKING_NAMESPACE, step.name);
        return Infinity;
      case 'Wait':
        return step.delayMs;
      case 'Fail':
        return this.#fail(image, step);
      default:
        return assertNever(step, 'bake step');
    }
  }

  async #createMachine(image: VirtualMachineImage, { name, memoryMiB, v86Build }: WantedBake): Promise<void> {
    await created(
      this.objects.create(virtualMachines, {
        metadata: { name, namespace: BAKING_NAMESPACE, ownerReferences: [ownedBy(image)] },
        spec: {
          source: { image: image.metadata.name },
          memory: formatBytes(memoryMiB * MIB),
          powerState: 'Running',
          restartPolicy: 'Never',
          bootPolicy: 'Cold',
          nodeSelector: { [V86_BUILD_LABEL]: v86Build },
          // Its node tells when it has come to rest only of a machine that something depends on.
          idlePolicy: { hibernateAfterSeconds: MAX_HIBERNATE_AFTER_SECONDS },
        },
      }),
    );
  }

  async #fail(image: VirtualMachineImage, { bake, attempt, message }: Extract<BakeStep, { type: 'Fail' }>): Promise<number> {
    const { name } = image.metadata;
    const told = this.#failures.get(name);
    // Seen once more, before the copy has heard of its deletion.
    if (told?.attempt === attempt) return Math.max(1, told.retryAt - systemTimers.now());
    const delayMs = this.#backoff.next(name);
    this.#failures.set(name, { attempt, retryAt: systemTimers.now() + delayMs, message });
    await this.objects.delete(virtualMachineSnapshots, BAKING_NAMESPACE, bake.name);
    await this.objects.delete(virtualMachines, BAKING_NAMESPACE, bake.name);
    this.events.record(image, 'Warning', 'BakeFailed', message);
    return delayMs;
  }

  async #report(image: VirtualMachineImage, { golden, missing }: BakePlan): Promise<void> {
    const { name, generation } = image.metadata;
    if (missing.length === 0 && this.#failures.delete(name)) this.#backoff.forget(name);
    const conditions = withCondition(image.status?.conditions, this.#conditionOf(name, golden, missing), systemClock.now(), generation);
    await writeStatus(this.objects, this.informers.of(virtualMachineImages), virtualMachineImages, image, { ...image.status, conditions, goldenSnapshots: [...golden] });
  }

  /** An image that lost its agent says nothing of baking any more. */
  async #forgetBaking(image: VirtualMachineImage): Promise<void> {
    if (!image.status?.goldenSnapshots) return;
    const { goldenSnapshots: _, ...status } = image.status;
    const conditions = status.conditions?.filter(({ type }) => type !== 'Baked') ?? [];
    await writeStatus(this.objects, this.informers.of(virtualMachineImages), virtualMachineImages, image, { ...status, conditions });
  }

  #conditionOf(name: string, golden: readonly GoldenSnapshot[], missing: readonly WantedBake[]): ConditionUpdate {
    if (missing.length === 0) {
      return { type: 'Baked', status: 'True', reason: 'GoldenSnapshotReady', message: golden.map(({ memoryMiB, v86Build }) => `${memoryMiB}Mi on v86 build ${v86Build.slice(0, 12)}`).join(', ') };
    }
    const failure = this.#failures.get(name);
    if (failure) return { type: 'Baked', status: 'False', reason: 'BakeFailed', message: failure.message };
    return { type: 'Baked', status: 'False', reason: 'Baking', message: 'Machines boot from the BIOS until the golden snapshot is there.' };
  }

  #everyImage(): ObjectKey[] {
    return this.informers
      .of(virtualMachineImages)
      .list()
      .map(({ metadata }) => ({ namespace: '', name: metadata.name }));
  }
}

/** An object of that name is the one wanted: names tell what they were made from. */
async function created(creation: Promise<unknown>): Promise<void> {
  try {
    await creation;
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== 'object.exists') throw error;
  }
}
