import { Inject, Injectable } from '@nestjs/common';
import { successor } from '@corral/api-machinery';
import { systemClock } from '@corral/base';
import {
  memberLabels, ownedByPool, poolOwnerOf, Problem, virtualMachinePools, virtualMachines, withCondition,
  type KindDefinition, type KubeObject, type ObjectClient, type ObjectKey, type VirtualMachine, type VirtualMachinePool, type VirtualMachineSpec, type VmClaim,
} from '@corral/contracts';
import { Backoff, EventRecorder, type ReconcileResult } from '@corral/reconcile';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';
import { after, DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';
import { writeStatus } from '../controllers/write-status.ts';
import { ChargedStore } from '../quota/charged-store.ts';
import { TEMPLATE_ANNOTATION, templateDigest } from './pool-members.ts';
import { planPool } from './pool.plan.ts';

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

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(EventRecorder) private readonly events: EventRecorder,
    @Inject(ChargedStore) private readonly store: ChargedStore,
    @Inject(Reconcilers) reconcilers: Reconcilers,
  ) {
    // What is gone names no pool any more.
    this.triggers = [on(virtualMachinePools), on(virtualMachines, ({ namespace }, vm) => (vm ? poolsOf(vm) : this.#poolsIn(namespace)))];
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
    const plan = planPool({ pool, machines: items, refusal: refusal?.why, now });
    let conditions = pool.status?.conditions;
    for (const update of plan.conditions) conditions = withCondition(conditions, update, now, pool.metadata.generation);
    const status = { ...pool.status, ...plan.counts, observedGeneration: pool.metadata.generation, ...(conditions ? { conditions } : {}) };
    const told = await writeStatus(this.objects, this.informers.of(virtualMachinePools), virtualMachinePools, pool, status);

    for (const vm of plan.release) await this.#release(told, vm);
    for (const { machine, why } of plan.remove) await this.#remove(told, machine, why);
    const waitMs = refusal ? refusal.retryAt - now.getTime() : 0;
    if (waitMs > 0) return after(waitMs);
    const isTaken = await this.#create(told, plan.create, id);
    const recheckMs = isTaken ? plan.recheckMs : Math.max(1, (this.#refusals.get(id)?.retryAt ?? 0) - now.getTime());
    return recheckMs === undefined ? DONE : after(recheckMs);
  }

  /** Whether the API took all of them. */
  async #create(pool: VirtualMachinePool, count: number, id: string): Promise<boolean> {
    const { template } = pool.spec ?? {};
    const { name, namespace = '' } = pool.metadata;
    for (let made = 0; made < count && template; made += 1) {
      try {
        await this.objects.create(virtualMachines, {
          metadata: {
            name: '', generateName: `${name}-`, namespace, ownerReferences: [ownedByPool(pool)], labels: memberLabels(pool),
            annotations: { ...template.metadata?.annotations, [TEMPLATE_ANNOTATION]: templateDigest(template) },
          },
          spec: warmSpec(template.spec),
        });
      } catch (error) {
        if (!(error instanceof Problem) || (error.code !== 'request.forbidden' && error.code !== 'object.invalid')) throw error;
        this.#refusals.set(id, { why: error.message, retryAt: systemClock.now().getTime() + this.#backoff.next(id) });
        this.events.record(pool, 'Warning', 'MachineRefused', error.message);
        return false;
      }
    }
    if (count > 0 && this.#refusals.delete(id)) this.#backoff.forget(id);
    return true;
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
    if (next) await this.store.update(virtualMachines as unknown as KindDefinition, vm, next);
    this.events.record(vm, 'Normal', 'Claimed', `Claimed from pool "${name}" by its labels.`);
  }

  #poolsIn(namespace: string): ObjectKey[] {
    return this.informers
      .of(virtualMachinePools)
      .list()
      .filter(({ metadata }) => metadata.namespace === namespace)
      .map(({ metadata }) => ({ namespace, name: metadata.name }));
  }
}

/** A machine that waits must not sleep, and has nothing worth keeping. */
function warmSpec({ checkpointPolicy: _none, ...spec }: VirtualMachineSpec): VirtualMachineSpec {
  return { ...spec, idlePolicy: { ...spec.idlePolicy, hibernateAfterSeconds: 0 } };
}

function poolsOf(vm: VirtualMachine): ObjectKey[] {
  const name = poolOwnerOf(vm)?.name ?? vm.status?.claim?.pool;
  return name === undefined ? [] : [{ namespace: vm.metadata.namespace ?? '', name }];
}
