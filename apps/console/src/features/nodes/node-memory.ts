import type { VirtualMachine } from '@corral/contracts';
import { placedMachine } from '@corral/scheduling';

/** What machines take of their node's memory: as it was promised to them, and as it is now, as far as they told. */
export interface NodeMemory {
  /** As the scheduler counts it: with what their processes take, and nothing for those that hibernate. */
  readonly promisedBytes: number;
  readonly heldBytes: number;
  readonly swappedBytes: number;
}

export function nodeMemoryOf(machines: readonly VirtualMachine[]): NodeMemory {
  const sum = (bytes: (vm: VirtualMachine) => number | undefined): number => machines.reduce((total, vm) => total + (bytes(vm) ?? 0), 0);
  // What a machine told last is of a process that has ended by now, unless it runs.
  const told = ({ status }: VirtualMachine) => (status?.phase === 'Running' || status?.phase === 'Paused' ? status.memory : undefined);
  return {
    promisedBytes: sum((vm) => placedMachine(vm)?.chargedBytes),
    heldBytes: sum((vm) => told(vm)?.heldBytes),
    swappedBytes: sum((vm) => told(vm)?.swappedBytes),
  };
}
