import { Button, Kbd } from '@corral/ui';
import { Monitor, Plus } from 'lucide-react';
import type { ReactElement } from 'react';
import { createCommand } from '../../api/commands.ts';
import { MACHINES } from '../../api/resources.ts';
import { CommandBlock } from '../../app/command-block.tsx';
import { EmptyState } from '../../app/page.tsx';
import { en } from '../../messages/en.ts';

/** The fleet before there is one: the action, and the command that does the same. */
export function FirstMachine({
  namespace,
  onCreate,
}: {
  readonly namespace: string;
  readonly onCreate: () => void;
}): ReactElement {
  const command = createCommand(
    MACHINES,
    { metadata: { name: 'demo', namespace }, spec: { source: { image: 'linux-minimal' } } },
    location.origin,
  );
  return (
    <div className="overflow-y-auto">
      <EmptyState icon={<Monitor size={26} />} title={en.machines.empty} hint={en.machines.emptyHint}>
        <Button look="Primary" className="mt-3" icon={<Plus aria-hidden size={15} />} onClick={onCreate}>
          {en.machines.new}
          <Kbd>C</Kbd>
        </Button>
        <CommandBlock command={command} className="mt-6 w-full text-left" />
      </EmptyState>
    </div>
  );
}
