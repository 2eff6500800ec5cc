import { virtualMachines, virtualMachineSnapshots, type ObjectClient, type VirtualMachine, type VirtualMachineSnapshot } from '@corral/contracts';

/** What a snapshot keeps: also one that is still taken, and one that is being deleted. */
export const layersOfSnapshot = (snapshot: Pick<VirtualMachineSnapshot, 'status'> | undefined): readonly string[] => snapshot?.status?.layers ?? [];

/** What a machine keeps: its next snapshot will name it. */
export const layersOfMachine = (vm: Pick<VirtualMachine, 'status'> | undefined): readonly string[] => vm?.status?.lineage?.layers ?? [];

/** Every key that anything needs; as new as what was acknowledged before it was asked for. */
export async function namedLayers(objects: ObjectClient): Promise<Set<string>> {
  const [snapshots, machines] = await Promise.all([objects.list(virtualMachineSnapshots), objects.list(virtualMachines)]);
  const named = new Set<string>();
  for (const snapshot of snapshots.items) for (const key of layersOfSnapshot(snapshot)) named.add(key);
  for (const vm of machines.items) for (const key of layersOfMachine(vm)) named.add(key);
  return named;
}
