import type { VirtualMachine, VirtualMachineSnapshot } from '@corral/contracts';
import { takeSnapshot } from '../../api/resources.ts';
import { serverNow } from '../../live/live.ts';

/** `demo-20260301-120405`: says of what and when, sorts by time, and no two are alike. */
export function snapshotName(machine: string, now: Date): string {
  const [day = '', time = ''] = now
    .toISOString()
    .replace(/\.\d+Z$/, '')
    .replaceAll(/[-:]/g, '')
    .split('T');
  return `${machine}-${day}-${time}`;
}

export const snapshotNow = (vm: VirtualMachine): Promise<VirtualMachineSnapshot> =>
  takeSnapshot(vm, snapshotName(vm.metadata.name, serverNow()));
