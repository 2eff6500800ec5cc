import { type VmTermination } from '@corral/contracts';
import { type StartedFrom } from '@corral/vm-lifecycle';

/** Something worth telling a person. */
export interface MachineNotice {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

export const notice = (reason: string, message: string): MachineNotice => ({ type: 'Normal', reason, message });
export const warning = (reason: string, message: string): MachineNotice => ({ type: 'Warning', reason, message });

export function startNotice({ type, name }: StartedFrom): MachineNotice {
  switch (type) {
    case 'Boot':
      return notice('Started', `Booting ${name}`);
    case 'GoldenSnapshot':
      return notice('Started', `Started from the golden snapshot of ${name}`);
    case 'Snapshot':
      return notice('Restored', `Continues from VirtualMachineSnapshot ${name}`);
    case 'Fork':
      return notice('Forked', `Goes on from where ${name} was`);
    case 'Suspended':
      return notice('Resumed', 'Continues where it had been written out');
  }
}

export function endNotice({ reason, message }: VmTermination): MachineNotice {
  if (reason === 'Hibernated') return notice('Hibernated', 'It sleeps, written out whole, and wakes up when somebody uses it');
  const wanted = reason === 'Stopped' || reason === 'GuestPoweredOff';
  return wanted ? notice('Stopped', message || reason) : warning(reason, message || reason);
}
