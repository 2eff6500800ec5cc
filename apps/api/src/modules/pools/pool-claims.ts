import { Inject, Injectable } from '@nestjs/common';
import { objectConflict, objectInvalid, sameJson, successor, type Write } from '@corral/api-machinery';
import { systemClock } from '@corral/base';
import {
  poolOwnerOf, virtualMachinePools, virtualMachines, VirtualMachineSpec, withCondition,
  type KindDefinition, type KubeObject, type ObjectClient, type VirtualMachine, type VirtualMachinePool, type VirtualMachineStatus, type VmClaim,
} from '@corral/contracts';
import { forbidden } from '@corral/quota';
import { MACHINE_FINALIZER } from '@corral/vm-lifecycle';
import { Admission, type AdmissionCompanion, type AdmissionRequest } from '../../platform/objects/admission.ts';
import { withFinalizer } from '../admission/finalizers.ts';
import { countsAfter, type PoolChange } from './pool-counts.ts';
import { isClaimable, oldest } from './pool-members.ts';

const MACHINES: KindDefinition = virtualMachines;
const POOLS: KindDefinition = virtualMachinePools;

/** What the one who claims may say; what they leave out is the template's. */
const CLAIMANTS_FIELDS: ReadonlySet<string> = new Set(['restartPolicy', 'idlePolicy', 'checkpointPolicy']);
/** What is of the claim alone. */
const OWN_FIELDS: ReadonlySet<string> = new Set(['source', 'powerState', 'nodeName', 'priority', 'preemptionPolicy']);

/**
 * Claims are decided while the machine is created, in one transaction: the warm machine's object goes, the claim comes bound
 * to its node, and the pool's counts change with them. Its node then hands the running process over. So nobody ever sees a
 * machine claimed twice, and a pool never has more machines than it may. Why: ADR 15.
 */
@Injectable()
export class PoolClaims implements AdmissionCompanion<VirtualMachineSpec, VirtualMachineStatus> {
  constructor(@Inject(Admission) admission: Admission) {
    admission.defaultFirst(virtualMachines, (vm, previous, { objects }) => (previous ? Promise.resolve(vm) : withTemplate(vm, objects)));
    admission.default(virtualMachines, (vm, previous, request) => (previous ? Promise.resolve(vm) : withWarmMachine(vm, request)));
    admission.check(virtualMachines, async (vm, previous, { objects }) => (previous ? [] : poolProblems(vm, objects)));
    admission.companion(virtualMachines, this);
  }

  turnOf(vm: VirtualMachine): string | undefined {
    const pool = vm.spec?.source?.pool ?? poolOwnerOf(vm)?.name;
    return pool === undefined ? undefined : `pool/${vm.metadata.namespace ?? ''}/${pool}`;
  }

  async writesFor(vm: VirtualMachine, { objects }: AdmissionRequest): Promise<readonly Write[]> {
    const { claim } = vm.status ?? {};
    const name = claim?.pool ?? poolOwnerOf(vm)?.name;
    if (name === undefined) return [];
    const pool = await objects.get(virtualMachinePools, vm.metadata.namespace, name);
    if (!pool || pool.metadata.uid !== (claim?.poolUid ?? poolOwnerOf(vm)?.uid)) {
      // Of a pool that is gone there is nothing to count; a claim of one is another story.
      if (!claim) return [];
      throw objectConflict(POOLS, name);
    }
    const taken = claim?.virtualMachine;
    if (!taken) return [counted(pool, vm, claim ? 'ColdClaim' : 'Member')];
    const warm = await objects.get(virtualMachines, vm.metadata.namespace, taken.name);
    if (!warm || warm.metadata.uid !== taken.uid || !isClaimable(pool, warm)) throw objectConflict(MACHINES, taken.name);
    return [counted(pool, vm, 'WarmClaim'), { type: 'Remove', kind: MACHINES, current: warm as KubeObject, final: warm as KubeObject }];
  }
}

/** The pool with one machine more, or one taken; refuses (403) what would be too many. */
function counted(pool: VirtualMachinePool, vm: VirtualMachine, change: PoolChange): Write {
  const counts = countsAfter(pool, change);
  if (typeof counts === 'string') {
    const { name } = pool.metadata;
    const why = counts === 'AtMaximum' ? `has the ${pool.spec?.maximum} machines it may have (spec.maximum)` : `has the ${pool.spec?.warm} warm machines it is to have (spec.warm)`;
    throw forbidden(MACHINES, vm.metadata.name, `pool "${name}" ${why}`);
  }
  const current = pool as KubeObject;
  const next = successor(current, { ...pool, status: { ...pool.status, ...counts } } as KubeObject);
  if (!next) throw objectConflict(POOLS, pool.metadata.name);
  return { type: 'Update', kind: POOLS, current, next };
}

/** The claim as its pool's template has it, but for what is the claimant's to say. */
async function withTemplate(vm: VirtualMachine, objects: ObjectClient): Promise<VirtualMachine> {
  const pool = await poolOf(vm, objects);
  const template = pool?.spec?.template.spec;
  if (!pool || !template || !vm.spec) return vm;
  requireNoneOther(vm, template);
  const said = vm.spec as Readonly<Record<string, unknown>>;
  const isUnsaid = (field: string): boolean => said[field] === undefined || sameJson(said[field], UNSAID[field]);
  const shape = Object.entries(template).filter(([field]) => !OWN_FIELDS.has(field) && (!CLAIMANTS_FIELDS.has(field) || isUnsaid(field)));
  const claim: VmClaim = { pool: pool.metadata.name, poolUid: pool.metadata.uid, type: 'Cold', source: template.source };
  return { ...vm, spec: { ...vm.spec, ...Object.fromEntries(shape) }, status: { ...vm.status, claim } };
}

/** What the schema fills in says nothing of what its writer wants. */
const UNSAID = VirtualMachineSpec.parse({ source: {} }) as Readonly<Record<string, unknown>>;

/** Refuses fields that would have to be different from those of the machine that waits. */
function requireNoneOther({ metadata, spec }: VirtualMachine, template: VirtualMachineSpec): void {
  const wanted = template as Readonly<Record<string, unknown>>;
  const problems = Object.entries(spec ?? {})
    .filter(([field, value]) => !OWN_FIELDS.has(field) && !CLAIMANTS_FIELDS.has(field) && value !== undefined && !sameJson(value, UNSAID[field]) && !sameJson(value, wanted[field]))
    .map(([field]) => ({ field: `spec.${field}`, reason: 'FieldValueInvalid', message: 'is what the pool’s template says: leave it out' }) as const);
  if (problems.length > 0) throw objectInvalid(MACHINES, metadata.name, problems);
}

/** Bound to the node of the warm machine that has waited longest, as which it goes on; as it is where none is Ready. */
async function withWarmMachine(vm: VirtualMachine, { objects }: AdmissionRequest): Promise<VirtualMachine> {
  const { claim } = vm.status ?? {};
  const mayTakeOver = claim !== undefined && vm.spec?.powerState === 'Running' && vm.spec.nodeName === undefined;
  const pool = mayTakeOver ? await poolOf(vm, objects) : undefined;
  if (!pool || !vm.spec || !claim) return vm;
  const { items } = await objects.list(virtualMachines, { namespace: vm.metadata.namespace ?? '' });
  const warm = oldest(items.filter((candidate) => isClaimable(pool, candidate)));
  const nodeName = warm?.spec?.nodeName;
  if (!warm || nodeName === undefined) return vm;
  const { metadata, status: { residentBytes: _resident, idleSince: _idle, nextStartTime: _next, nominatedNodeName: _nominated, observedGeneration: _seen, ...status } = {} } = warm;
  const message = `It takes over "${metadata.name}", a warm machine of pool "${pool.metadata.name}".`;
  return {
    ...withFinalizer(vm, MACHINE_FINALIZER),
    spec: { ...vm.spec, ...(warm.spec?.memory === undefined ? {} : { memory: warm.spec.memory }), nodeName },
    status: {
      ...status,
      conditions: withCondition(status.conditions, { type: 'Ready', status: 'False', reason: 'Claiming', message }, systemClock.now(), vm.metadata.generation),
      claim: { ...claim, type: 'Warm', virtualMachine: { name: metadata.name, uid: metadata.uid } },
    },
  };
}

async function poolProblems(vm: VirtualMachine, objects: ObjectClient) {
  const name = vm.spec?.source?.pool;
  if (name === undefined) return [];
  const field = 'spec.source.pool';
  const pool = await poolOf(vm, objects);
  if (!pool) return [{ field, reason: 'FieldValueNotFound', message: `VirtualMachinePool "${name}" does not exist` } as const];
  if (pool.metadata.deletionTimestamp !== undefined) return [{ field, reason: 'FieldValueInvalid', message: `VirtualMachinePool "${name}" is being deleted` } as const];
  return [];
}

async function poolOf({ metadata, spec }: VirtualMachine, objects: ObjectClient): Promise<VirtualMachinePool | undefined> {
  const name = spec?.source?.pool;
  return name === undefined ? undefined : objects.get(virtualMachinePools, metadata.namespace, name);
}
