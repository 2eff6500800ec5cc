import type { VirtualMachine } from '@corral/contracts';
import type { DisplayStatus, MachineSays } from '@corral/ui';
import type { PowerState } from '../../api/resources.ts';
import { en } from '../../messages/en.ts';

/** One change of power state a person can ask for now. */
export interface PowerVerb {
  readonly verb: 'pause' | 'resume' | 'stop' | 'start';
  readonly label: string;
  readonly powerState: PowerState;
}

const pause: PowerVerb = { verb: 'pause', label: en.verbs.pause, powerState: 'Paused' };
const resume: PowerVerb = { verb: 'resume', label: en.verbs.resume, powerState: 'Running' };
const stop: PowerVerb = { verb: 'stop', label: en.verbs.stop, powerState: 'Stopped' };
const start: PowerVerb = { verb: 'start', label: en.verbs.start, powerState: 'Running' };

/** Sleep is no power state: whoever uses the machine ends it. */
export interface SleepVerb {
  readonly verb: 'hibernate' | 'wake';
  readonly label: string;
}

const hibernate: SleepVerb = { verb: 'hibernate', label: en.verbs.hibernate };
const wake: SleepVerb = { verb: 'wake', label: en.verbs.wake };

/** What can be asked about its sleep; undefined when nothing can. */
export function sleepVerb({ status }: VirtualMachine, { says }: DisplayStatus<MachineSays>): SleepVerb | undefined {
  if (says === 'Hibernated') return wake;
  const isAwake = says === 'Running' || says === 'NotReady' || says === 'Paused';
  return isAwake && !status?.hibernation ? hibernate : undefined;
}

/** What can be asked, the most likely first. It follows intent: a machine that is being paused can be resumed. */
export function powerVerbs(vm: VirtualMachine, { says }: DisplayStatus<MachineSays>): readonly PowerVerb[] {
  if (says === 'Terminating') return [];
  switch (vm.spec?.powerState ?? 'Running') {
    case 'Running':
      // What ended and stays down cannot be paused; it is stopped, then started.
      return says === 'Stopped' || says === 'Failed' || says === 'Hibernated' ? [stop] : [pause, stop];
    case 'Paused':
      return [resume, stop];
    case 'Stopped':
      return [start];
  }
}

/** Whether there may be a picture: a machine that failed keeps its last one until it starts again, one that sleeps until it wakes up. */
export const showsScreen = ({ says }: DisplayStatus<MachineSays>): boolean =>
  says === 'Running' ||
  says === 'NotReady' ||
  says === 'Paused' ||
  says === 'Pausing' ||
  says === 'Resuming' ||
  says === 'Hibernated' ||
  says === 'Failed';

/** A snapshot is of a machine that has a memory, be it on a disk. */
export const canSnapshot = ({ says }: DisplayStatus<MachineSays>): boolean =>
  says === 'Running' || says === 'NotReady' || says === 'Paused' || says === 'Hibernated';

/** A fork goes on from a memory, as a snapshot is of one: while it runs, stands still or sleeps. What else speaks against it, the API says. */
export const canFork = canSnapshot;

/** Whether it is on its way back from its sleep. */
export const isWaking = ({ status }: VirtualMachine, { says }: DisplayStatus<MachineSays>): boolean =>
  status?.hibernation !== undefined && (says === 'Starting' || says === 'Pending' || says === 'NotReady');

/** Whether what is typed reaches it: it runs, or wakes up for that. */
export const takesInput = (vm: VirtualMachine, status: DisplayStatus<MachineSays>): boolean =>
  status.says === 'Running' || status.says === 'NotReady' || status.says === 'Hibernated' || isWaking(vm, status);
