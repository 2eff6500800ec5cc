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

/** What can be asked, the most likely first. It follows intent: a machine that is being paused can be resumed. */
export function powerVerbs(vm: VirtualMachine, { says }: DisplayStatus<MachineSays>): readonly PowerVerb[] {
  if (says === 'Terminating') return [];
  switch (vm.spec?.powerState ?? 'Running') {
    case 'Running':
      // What ended and stays down cannot be paused; it is stopped, then started.
      return says === 'Stopped' || says === 'Failed' ? [stop] : [pause, stop];
    case 'Paused':
      return [resume, stop];
    case 'Stopped':
      return [start];
  }
}

/** Whether there may be a picture: a machine that failed keeps its last one until it starts again. */
export const showsScreen = ({ says }: DisplayStatus<MachineSays>): boolean =>
  says === 'Running' ||
  says === 'NotReady' ||
  says === 'Paused' ||
  says === 'Pausing' ||
  says === 'Resuming' ||
  says === 'Failed';

/** A snapshot is of a running or paused machine. */
export const canSnapshot = ({ says }: DisplayStatus<MachineSays>): boolean =>
  says === 'Running' || says === 'NotReady' || says === 'Paused';
