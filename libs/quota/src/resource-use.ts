import {
  findCondition, formatBytes, MEASURED_RESOURCES, MEMORY_RESOURCES, qualifiedResource, RUNNING_MACHINES, SNAPSHOT_BYTES, UNUSED_RESOURCES, virtualMachines, virtualMachineSnapshots,
  type KindDefinition, type KubeObject, type VirtualMachine, type VirtualMachineSnapshot,
} from '@corral/contracts';
import { mayRun, memoryOf, residentMemoryOf } from './machine-use.ts';

/** An object as a quota sees it. */
export interface Counted {
  readonly kind: KindDefinition;
  readonly object: KubeObject;
}

const COUNT = 'count/';
const MACHINES = qualifiedResource(virtualMachines);
const SNAPSHOTS = qualifiedResource(virtualMachineSnapshots);
const isMemory = (name: string): boolean => (MEMORY_RESOURCES as readonly string[]).includes(name);

/** Whether a quota can limit this: `count/<resource>.<group>` of a kind served, Kubernetes's short names of the same, or a measure. */
export function isLimitable(name: string, kinds: readonly KindDefinition[]): boolean {
  if (MEASURED_RESOURCES.includes(name) || UNUSED_RESOURCES.includes(name) || name === 'count/pods') return true;
  const resource = name.startsWith(COUNT) ? name.slice(COUNT.length) : name.includes('.') ? undefined : name;
  return kinds.some((kind) => kind.scope === 'Namespaced' && qualifiedResource(kind) === resource);
}

/** The kinds whose objects use any of these. */
export function kindsUsing(names: readonly string[], kinds: readonly KindDefinition[]): KindDefinition[] {
  return kinds.filter((kind) => kind.scope === 'Namespaced' && names.some((name) => usesOf(qualifiedResource(kind)).has(name)));
}

/** Everything objects of this resource can use, by the names quotas have for it. */
function usesOf(resource: string): ReadonlySet<string> {
  const names = [`${COUNT}${resource}`, ...(resource.includes('.') ? [] : [resource])];
  if (resource === MACHINES) names.push('pods', 'count/pods', RUNNING_MACHINES, ...MEMORY_RESOURCES);
  if (resource === SNAPSHOTS) names.push(SNAPSHOT_BYTES);
  return new Set(names);
}

/** How much of a resource an object uses; undefined when nobody has said yet. Nothing for what is not there. */
export function useOf(name: string, counted: Counted | undefined): number | undefined {
  if (!counted) return 0;
  const { kind, object } = counted;
  const resource = qualifiedResource(kind);
  if (!usesOf(resource).has(name)) return 0;
  if (name === SNAPSHOT_BYTES) return snapshotBytes(object as VirtualMachineSnapshot);
  const vm = object as VirtualMachine;
  if (isMemory(name)) return !mayRun(vm) ? 0 : name === 'limits.memory' ? memoryOf(vm) : residentMemoryOf(vm);
  if (name === 'pods' || name === RUNNING_MACHINES) return mayRun(vm) ? 1 : 0;
  return 1;
}

/**
 * What it added to the object store; while it is taken, what it is going to add. Before that is known it counts as one
 * byte: so that none is begun where nothing is left. One that failed holds nothing.
 */
function snapshotBytes({ status }: VirtualMachineSnapshot): number {
  if (status?.completedAt !== undefined && findCondition(status.conditions, 'Ready')?.status === 'False') return 0;
  return status?.sizeBytes ?? status?.totalBytes ?? 1;
}

/** An amount as the quota's figures say it. */
export const amountText = (name: string, amount: number): string =>
  (isMemory(name) || name === SNAPSHOT_BYTES) && Number.isSafeInteger(amount) && amount >= 0 ? formatBytes(amount) : String(amount);
