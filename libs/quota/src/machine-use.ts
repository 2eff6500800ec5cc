import { findCondition, parseBytes, type VirtualMachine, type VmTermination } from '@corral/contracts';
import { desiredState, isAsleep, restarts } from '@corral/vm-lifecycle';

/** Ends after which a machine starts again whatever its policy says. */
const STARTS_AGAIN: ReadonlySet<VmTermination['reason']> = new Set(['Stopped', 'NodeStopped', 'NodeLost', 'Moved', 'Hibernated']);

/**
 * Whether the machine has a process, or may get one without anybody asking the API again: then it takes memory. One that
 * was stopped, or ended for good, takes none until somebody starts it, and that write is charged.
 */
export function mayRun(vm: VirtualMachine): boolean {
  const { status } = vm;
  if (desiredState(vm) === 'Stopped') return hasProcess(vm);
  // Waking it is a write that is charged.
  if (isAsleep(vm)) return false;
  const { incarnation = 0, lastTermination } = status ?? {};
  if (hasProcess(vm) || incarnation === 0 || !lastTermination) return true;
  // Switched off after it ended: what was wished since is another start.
  if (isSwitchedOff(vm) || STARTS_AGAIN.has(lastTermination.reason)) return true;
  return restarts(vm.spec?.restartPolicy ?? 'Always', lastTermination);
}

/** As far as the API was told. A guest that panicked keeps its process, for its screen. */
function hasProcess(vm: VirtualMachine): boolean {
  const { incarnation = 0, phase, lastTermination } = vm.status ?? {};
  if (incarnation === 0 || phase === 'Stopped' || isSwitchedOff(vm)) return false;
  return lastTermination?.incarnation !== incarnation || lastTermination.reason === 'GuestPanicked';
}

const isSwitchedOff = ({ status }: VirtualMachine): boolean => findCondition(status?.conditions, 'Ready')?.reason === 'Stopped';

/** Its guest RAM in bytes; undefined while neither its spec nor a node has said. */
export function memoryOf({ spec, status }: VirtualMachine): number | undefined {
  if (spec?.memory !== undefined) return parseBytes(spec.memory);
  return status?.memoryMiB === undefined ? undefined : status.memoryMiB * 2 ** 20;
}

/** What of its guest RAM it asks its node to hold, in bytes; undefined while nobody has said. */
export function residentMemoryOf(vm: VirtualMachine): number | undefined {
  const memory = memoryOf(vm);
  const resident = parseBytes(vm.spec?.residentMemory ?? '');
  return memory === undefined || resident === undefined ? memory : Math.min(memory, resident);
}
