import { createHash } from 'node:crypto';
import { findCondition, isInPool, poolOwnerOf, type VirtualMachine, type VirtualMachinePool, type VirtualMachineTemplate } from '@corral/contracts';

/** On a pool's machines: which template they were made from. */
export const TEMPLATE_ANNOTATION = 'corral.dev/template-digest';

export function templateDigest(template: VirtualMachineTemplate | undefined): string {
  return createHash('sha256').update(JSON.stringify(sorted(template))).digest('hex').slice(0, 16);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, sorted(inner)]));
}

/** Whether this pool made the machine, and it has not been claimed by its name. */
export const isMemberOf = (pool: VirtualMachinePool, vm: VirtualMachine): boolean => poolOwnerOf(vm)?.uid === pool.metadata.uid;

export const isClaimOf = (pool: VirtualMachinePool, { status }: VirtualMachine): boolean => status?.claim?.poolUid === pool.metadata.uid;

/** Waits in the pool, be it still starting. */
export const isWarm = (pool: VirtualMachinePool, vm: VirtualMachine): boolean =>
  isMemberOf(pool, vm) && vm.metadata.deletionTimestamp === undefined && isInPool(pool, vm.metadata.labels);

export const isMadeFromTemplate = (pool: VirtualMachinePool, { metadata }: VirtualMachine): boolean =>
  metadata.annotations?.[TEMPLATE_ANNOTATION] === templateDigest(pool.spec?.template);

/** Whether a claim may take it over now: it answers, where it is, and nobody is about to take it elsewhere. */
export function isClaimable(pool: VirtualMachinePool, vm: VirtualMachine): boolean {
  const { spec, status } = vm;
  return (
    isWarm(pool, vm) &&
    isMadeFromTemplate(pool, vm) &&
    isReady(vm) &&
    spec?.nodeName !== undefined &&
    spec.powerState === 'Running' &&
    (status?.incarnation ?? 0) > 0 &&
    status?.move === undefined &&
    status?.continueFrom === undefined
  );
}

export const isReady = ({ status }: VirtualMachine): boolean => status?.phase === 'Running' && findCondition(status.conditions, 'Ready')?.status === 'True';

/** The one that has waited longest: the others may still be settling. */
export function oldest(machines: readonly VirtualMachine[]): VirtualMachine | undefined {
  return machines.reduce<VirtualMachine | undefined>((best, next) => (!best || isBefore(next, best) ? next : best), undefined);
}

function isBefore({ metadata: a }: VirtualMachine, { metadata: b }: VirtualMachine): boolean {
  return a.creationTimestamp === b.creationTimestamp ? a.name < b.name : a.creationTimestamp < b.creationTimestamp;
}
