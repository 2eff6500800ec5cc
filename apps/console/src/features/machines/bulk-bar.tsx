import { Button, IconButton } from '@corral/ui';
import { Pause, Play, SquareTerminal, Trash2, X } from 'lucide-react';
import type { ReactElement } from 'react';
import { patchCommand } from '../../api/commands.ts';
import { MACHINES, type PowerState } from '../../api/resources.ts';
import { copyText } from '../../app/copy.tsx';
import { notify } from '../../app/notices.tsx';
import { ask } from '../../live/intents.ts';
import { en } from '../../messages/en.ts';
import type { MachineRow } from './machine-rows.ts';

/** What can be done with everything selected. Results are per machine; those refused are named. */
export function BulkBar({
  rows,
  onDelete,
  onClear,
}: {
  readonly rows: readonly MachineRow[];
  readonly onDelete: () => void;
  readonly onClear: () => void;
}): ReactElement {
  const all = async (powerState: PowerState): Promise<void> => {
    const answers = await Promise.allSettled(rows.map(({ vm }) => ask(vm, { type: 'Power', powerState })));
    const refused = rows.filter((_, index) => answers[index]?.status === 'rejected').map(({ vm }) => vm.metadata.name);
    if (refused.length > 0)
      notify({ text: en.machines.bulkRefused(rows.length - refused.length, refused), error: true });
  };
  const copies = rows.map(
    ({ vm: { metadata } }) =>
      patchCommand(
        { resource: MACHINES, namespace: metadata.namespace, name: metadata.name },
        { spec: { powerState: 'Paused' } },
        location.origin,
      ).kubectl,
  );
  return (
    <div className="pointer-events-none absolute inset-x-0 bottom-5 z-20 flex justify-center px-4">
      <div
        role="toolbar"
        aria-label={en.machines.selected(rows.length)}
        className="pointer-events-auto flex animate-appear items-center gap-1 rounded-card border border-line2 bg-raised px-2 py-1.5 shadow-float"
      >
        <span className="border-r border-line px-2.5 font-strong">{en.machines.selected(rows.length)}</span>
        <Button look="Quiet" icon={<Pause aria-hidden size={14} />} onClick={() => void all('Paused')}>
          {en.verbs.pause}
        </Button>
        <Button look="Quiet" icon={<Play aria-hidden size={14} />} onClick={() => void all('Running')}>
          {en.verbs.resume}
        </Button>
        <Button look="Quiet" className="!text-bad" icon={<Trash2 aria-hidden size={14} />} onClick={onDelete}>
          {en.verbs.delete}
        </Button>
        <Button
          look="Quiet"
          icon={<SquareTerminal aria-hidden size={14} />}
          onClick={() => void copyText(copies.join('\n'))}
        >
          {en.copyVerbKubectl(en.verbs.pause)}
        </Button>
        <IconButton label={en.machines.clearSelection} onClick={onClear}>
          <X aria-hidden size={15} />
        </IconButton>
      </div>
    </div>
  );
}
