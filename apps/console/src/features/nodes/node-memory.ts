import type { VirtualMachine } from '@corral/contracts';
import { placedMachine } from '@corral/scheduling';
import { figuresOf, toldMemory, type MemoryFigures } from '../memory/memory-figures.ts';

/** What machines take of their node's memory: as it was promised to them, and as it is now, as far as they told. */
export interface NodeMemory {
  /** As the scheduler counts it: with what their processes take, and nothing for those that hibernate. */
  readonly promisedBytes: number;
  readonly figures: MemoryFigures;
}

export const nodeMemoryOf = (machines: readonly VirtualMachine[]): NodeMemory => ({
  promisedBytes: machines.reduce((sum, vm) => sum + (placedMachine(vm)?.chargedBytes ?? 0), 0),
  figures: figuresOf(machines.flatMap((vm) => toldMemory(vm) ?? [])),
});
