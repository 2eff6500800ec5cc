import { Inject, Injectable } from '@nestjs/common';
import { successor } from '@corral/api-machinery';
import { systemClock } from '@corral/base';
import {
  memberLabels, ownedByPool, poolOwnerOf, Problem, virtualMachinePools, virtualMachines, virtualMachineSnapshots, withCondition,
  type KubeObject, type ObjectClient, type ObjectKey, type VirtualMachine, type VirtualMachinePool, type VirtualMachineSnapshot, type VirtualMachineSpec, type VmClaim,
} from '@corral/contracts';
import { Backoff, EventRecorder, type ReconcileResult } from '@corral/reconcile';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';
import { after, DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';
import { writeStatus } from '../controllers/write-status.ts';
import { ChargedStore } from '../quota/charged-store.ts';
import { MOMENT_ANNOTATION, MOMENT_FIELD, SOURCE_FIELD } from '../forks/fork-moment.ts';
import { PoolMoments } from './pool-moments.ts';
import { TEMPLATE_ANNOTATION, templateDigest } from './pool-members.ts';
import { type PoolOrigin } from './pool-origin.ts';
import { planPool, type PoolPlan, SOURCE_RUNNING } from './pool.plan.ts';

/** What the API refuses is tried again, as quotas and images change. */
const REFUSED = { baseMs: 5_000, maxMs: 5 * 60_000 };

/** Keeps machines of each pool's template started ahead of time. Claims are decided where machines are created: pool-claims.ts. */
@Injectable()
export class PoolReconciler implements Reconciler {
  readonly name = 'pools';
  readonly triggers: readonly Trigger[];
  readonly #backoff = new Backoff({ ...REFUSED, random: Math.random });
  /** Pool → why its last machine was refused, and when to try again. */
  readonly #refusals = new Map<string, { readonly why: string; readonly retryAt: number }>();
  readonly #forkedFrom: (machine: string) => readonly VirtualMachinePool[];

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(EventRecorder) private readonly events: EventRecorder,
    @Inject(ChargedStore) private readonly store: ChargedStore,
    @Inject(PoolMoments) private readonly moments: PoolMoments,
    @Inject(Reconcilers) reconcilers: Reconcilers,
  ) {
    this.#forkedFrom = informers.of(virtualMachinePools).index(({ metadata, spec }) => {
      const { virtualMachine } = spec?.template.spec.source ?? {};
      return virtualMachine === undefined ? undefined : `${metadata.namespace ?? ''}/${virtualMachine}`;
    });
    this.triggers = [
      on(virtualMachinePools),
      // What is gone names no pool any more.
      on(virtualMachines, ({ namespace, name }, vm) => (vm ? [...poolsOf(vm), ...this.#forkedFrom(`${namespace ?? ''}/${name}`).map(keyOf)] : this.#poolsIn(namespace))),
      on(virtualMachineSnapshots, ({ namespace }, moment) => (moment ? poolsOf(moment) : this.#poolsIn(namespace))),
    ];
    reconcilers.add(this);
  }

  async reconcile({ namespace, name }: ObjectKey): Promise<ReconcileResult> {
    // Read anew, and in this order: a machine that is added changes its pool, so counts of older machines cannot be written.
    const pool = await this.objects.get(virtualMachinePools, namespace, name);
    const id = `${namespace}/${name}`;
    if (!pool) {
      this.#refusals.delete(id);
      this.#backoff.forget(id);
      return DONE;
    }
    const { items } = await this.objects.list(virtualMachines, { namespace });
    const now = systemClock.now();
    const refusal = this.#refusals.get(id);
    const origin = await this.moments.originOf(pool, now);
    const plan = planPool({ pool, machines: items, refusal: refusal?.why, origin, now });
    let conditions = pool.status?.conditions?.filter(({ type }) => type !== SOURCE_RUNNING || origin.type !== 'Template');
    for (const update of plan.conditions) conditions = withCondition(conditions, update, now, pool.metadata.generation);
    const status = { ...pool.status, ...plan.counts, observedGeneration: pool.metadata.generation, ...(conditions ? { conditions } : {}) };
    const told = await writeStatus(this.objects, this.informers.of(virtualMachinePools), virtualMachinePools, pool, status);

    for (const vm of plan.release) await this.#release(told, vm);
    for (const { machine, why } of plan.remove) await this.#remove(told, machine, why);
    const waitMs = refusal ? refusal.retryAt - now.getTime() : 0;
    if (waitMs > 0) return after(waitMs);
    const isTaken = await this.#create(told, plan, origin, id);
    const recheckMs = isTaken ? plan.recheckMs : Math.max(1, (this.#refusals.get(id)?.retryAt ?? 0) - now.getTime());
    return recheckMs === undefined ? DONE : after(recheckMs);
  }

  /** Whether the API took all of them, or the moment that they are to go on from. */
  async #create(pool: VirtualMachinePool, { create, isMomentWanted }: PoolPlan, origin: PoolOrigin, id: string): Promise<boolean> {
    try {
      if (isMomentWanted && origin.type === 'Source') await this.moments.take(pool, origin.source);
      for (let made = 0; made < create; made += 1) await this.#createOne(pool, origin);
    } catch (error) {
      // The moment went, or the source stopped, since: whoever sees that looks here again.
      if (isOfOrigin(error)) return true;
      if (!(error instanceof Problem) || (error.code !== 'request.forbidden' && error.code !== 'object.invalid')) throw error;
      this.#refusals.set(id, { why: error.message, retryAt: systemClock.now().getTime() + this.#backoff.next(id) });
      this.events.record(pool, 'Warning', 'MachineRefused', error.message);
      return false;
    }
    if (create > 0 && this.#refusals.delete(id)) this.#backoff.forget(id);
    return true;
  }

  async #createOne(pool: VirtualMachinePool, origin: PoolOrigin): Promise<void> {
    const { template } = pool.spec ?? {};
    const { name, namespace = '' } = pool.metadata;
    if (!template) return;
    const moment = origin.type === 'Moment' ? { [MOMENT_ANNOTATION]: origin.name } : {};
    await this.objects.create(virtualMachines, {
      metadata: {
        name: '', generateName: `${name}-`, namespace, ownerReferences: [ownedByPool(pool)], labels: memberLabels(pool),
        annotations: { ...template.metadata?.annotations, ...moment, [TEMPLATE_ANNOTATION]: templateDigest(template) },
      },
      spec: warmSpec(template.spec),
    });
  }

  async #remove(pool: VirtualMachinePool, { metadata }: VirtualMachine, why: string): Promise<void> {
    await this.objects.delete(virtualMachines, metadata.namespace, metadata.name, { uid: metadata.uid });
    this.events.record(pool, 'Normal', 'MachineRemoved', `Machine "${metadata.name}" is removed: ${why}.`);
  }

  /** Its owner and what it is of change in one write, so that it counts at every moment. */
  async #release(pool: VirtualMachinePool, vm: VirtualMachine): Promise<void> {
    const { name, uid } = pool.metadata;
    const claim: VmClaim = { pool: name, poolUid: uid, type: 'Label', source: vm.spec?.source ?? {} };
    const ownerReferences = (vm.metadata.ownerReferences ?? []).filter((owner) => owner.uid !== uid);
    const next = successor(vm, { ...vm, metadata: { ...vm.metadata, ownerReferences }, status: { ...vm.status, claim } } as KubeObject);
    if (next) await this.store.update(virtualMachines, vm, next);
    this.events.record(vm, 'Normal', 'Claimed', `Claimed from pool "${name}" by its labels.`);
  }

  #poolsIn(namespace: string): ObjectKey[] {
    return this.informers
      .of(virtualMachinePools)
      .list()
      .filter(({ metadata }) => metadata.namespace === namespace)
      .map(keyOf);
  }
}

/** Whether all that was wrong with a machine is what it was to go on from. */
function isOfOrigin(error: unknown): boolean {
  const causes = error instanceof Problem && error.code === 'object.invalid' ? (error.details?.causes ?? []) : [];
  return causes.length > 0 && causes.every(({ field }) => field === MOMENT_FIELD || field === SOURCE_FIELD);
}

const keyOf = ({ metadata }: VirtualMachinePool): ObjectKey => ({ namespace: metadata.namespace ?? '', name: metadata.name });

/** A machine that waits must not sleep, and has nothing worth keeping. */
function warmSpec({ checkpointPolicy: _none, ...spec }: VirtualMachineSpec): VirtualMachineSpec {
  return { ...spec, idlePolicy: { ...spec.idlePolicy, hibernateAfterSeconds: 0 } };
}

function poolsOf(object: VirtualMachine | VirtualMachineSnapshot): ObjectKey[] {
  const name = poolOwnerOf(object)?.name ?? (object.status && 'claim' in object.status ? object.status.claim?.pool : undefined);
  return name === undefined ? [] : [{ namespace: object.metadata.namespace ?? '', name }];
}
