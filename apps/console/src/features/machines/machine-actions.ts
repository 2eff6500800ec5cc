import type { DisplayStatus, MachineSays } from '@corral/ui';
import type { VirtualMachine } from '@corral/contracts';
import { Camera, GitFork, Moon, Pause, Play, Square, SquareTerminal, Sunrise, Trash2, type LucideIcon } from 'lucide-react';
import { MACHINES } from '../../api/resources.ts';
import { copyText } from '../../app/copy.tsx';
import type { MenuAction } from '../../app/menu-popup.tsx';
import { ask } from '../../live/intents.ts';
import { en } from '../../messages/en.ts';
import { canFork, canSnapshot, powerVerbs, sleepVerb, type PowerVerb, type SleepVerb } from './machine-verbs.ts';

export const VERB_ICONS: Readonly<Record<PowerVerb['verb'] | SleepVerb['verb'], LucideIcon>> = {
  pause: Pause,
  resume: Play,
  stop: Square,
  start: Play,
  hibernate: Moon,
  wake: Sunrise,
};

/** Asks; a refusal stands beside the machine until it is closed, so it is not thrown further. */
export const askPower = (vm: VirtualMachine, powerState: PowerVerb['powerState']): void =>
  void ask(vm, { type: 'Power', powerState }).catch(() => undefined);

/** As `askPower`, for its sleep. */
export const askSleep = (vm: VirtualMachine, turn: SleepVerb['verb']): void => void ask(vm, { type: 'Sleep', turn }).catch(() => undefined);

/** All one can do with a machine, for its "…" menus. */
export function machineActions(
  vm: VirtualMachine,
  status: DisplayStatus<MachineSays>,
  on: { readonly snapshot: () => void; readonly fork?: () => void; readonly remove: () => void; readonly withoutFirst?: boolean },
): readonly MenuAction[] {
  const verbs = powerVerbs(vm, status);
  const first = verbs[0];
  const sleep = sleepVerb(vm, status);
  const copy = async (form: 'kubectl' | 'curl', powerState: PowerVerb['powerState']): Promise<void> => {
    const { patchCommand } = await import('../../api/commands.ts');
    const target = { resource: MACHINES, namespace: vm.metadata.namespace, name: vm.metadata.name };
    await copyText(patchCommand(target, { spec: { powerState } }, location.origin)[form]);
  };
  return [
    ...verbs
      .slice(on.withoutFirst ? 1 : 0)
      .map((verb) => ({
        label: verb.label,
        icon: VERB_ICONS[verb.verb],
        onSelect: () => askPower(vm, verb.powerState),
      })),
    ...(sleep ? [{ label: sleep.label, icon: VERB_ICONS[sleep.verb], onSelect: () => askSleep(vm, sleep.verb) }] : []),
    ...(on.withoutFirst
      ? []
      : [{ label: en.verbs.snapshot, icon: Camera, disabled: !canSnapshot(status), onSelect: on.snapshot }]),
    ...(on.fork ? [{ label: en.verbs.fork, icon: GitFork, disabled: !canFork(status), onSelect: on.fork }] : []),
    ...(first
      ? [
          {
            label: en.copyVerbKubectl(first.label),
            icon: SquareTerminal,
            separated: true,
            onSelect: () => void copy('kubectl', first.powerState),
          },
          {
            label: en.copyVerbCurl(first.label),
            icon: SquareTerminal,
            onSelect: () => void copy('curl', first.powerState),
          },
        ]
      : []),
    {
      label: en.verbs.delete,
      icon: Trash2,
      danger: true,
      separated: true,
      disabled: status.says === 'Terminating',
      onSelect: on.remove,
    },
  ];
}
