import type { VirtualMachine } from '@corral/contracts';

/** What one has been connected to of a machine, as its object told so far. */
export interface MachineLife {
  /** Another number is another connection. */
  readonly number: number;
  readonly incarnation: number;
  /** It sleeps, is about to, or wakes up. */
  readonly isDormant: boolean;
}

const isDormant = ({ status }: VirtualMachine): boolean => status?.hibernation !== undefined;

export const firstLife = (vm: VirtualMachine): MachineLife => ({ number: 0, incarnation: vm.status?.incarnation ?? 0, isDormant: isDormant(vm) });

/** The life after the object changed; the very same when nothing of it did. A night's sleep ends no connection, any other new start does. */
export function nextLife(life: MachineLife, vm: VirtualMachine): MachineLife {
  const next = firstLife(vm);
  if (next.incarnation === life.incarnation && next.isDormant === life.isDormant) return life;
  const isAnother = next.incarnation !== life.incarnation && !life.isDormant;
  return { ...next, number: isAnother ? life.number + 1 : life.number };
}
