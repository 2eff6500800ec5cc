import type { resources } from '@corral/client';
import { describeBytes } from '@corral/contracts';
import { conditionOf } from './conditions.ts';
import type { Invocation } from './invocation.ts';
import { drawTable, formatObjects, type OutputFormat } from './output.ts';

type VirtualMachine = resources.VirtualMachine;
type VirtualMachineSnapshot = resources.VirtualMachineSnapshot;

export const machineName = (name: string): string => `virtualmachine.corral.dev/${name}`;
export const snapshotName = (name: string): string => `virtualmachinesnapshot.corral.dev/${name}`;

/** Machines as the caller wants them: for people, one line each that says what became of it. */
export function printMachines(invocation: Invocation, machines: readonly VirtualMachine[], format: OutputFormat | undefined, outcome: string): void {
  const names = machines.map(({ metadata }) => machineName(metadata?.name ?? ''));
  if (format === undefined) for (const name of names) invocation.print(`${name} ${outcome}`);
  else if (format === 'wide') invocation.print(drawTable(['Name', 'Phase', 'Ready', 'Memory', 'Node', 'Incarnation'], machines.map(machineCells)));
  else invocation.print(formatObjects(format, machines.map((object, index) => ({ name: names[index] ?? '', object }))));
}

function machineCells(machine: VirtualMachine): string[] {
  const { metadata, spec, status } = machine;
  const ready = conditionOf(machine, 'Ready')?.status ?? 'Unknown';
  return [metadata?.name ?? '', status?.phase ?? 'Pending', ready, spec.memory ?? '', spec.nodeName ?? '<none>', String(status?.incarnation ?? 0)];
}

export function printSnapshot(invocation: Invocation, snapshot: VirtualMachineSnapshot, format: OutputFormat | undefined): void {
  const name = snapshotName(snapshot.metadata?.name ?? '');
  const { sizeBytes, pauseMilliseconds } = snapshot.status ?? {};
  if (format === undefined) invocation.print(name);
  else if (format === 'wide') {
    const cells = [snapshot.metadata?.name ?? '', snapshot.spec.virtualMachine, sizeBytes === undefined ? '' : describeBytes(sizeBytes), pauseMilliseconds === undefined ? '' : `${Math.round(pauseMilliseconds)}ms`];
    invocation.print(drawTable(['Name', 'Machine', 'Size', 'Pause'], [cells]));
  } else invocation.print(formatObjects(format, [{ name, object: snapshot }]));
}
