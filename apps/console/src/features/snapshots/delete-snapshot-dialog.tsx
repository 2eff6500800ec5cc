import type { VirtualMachineSnapshot } from '@corral/contracts';
import { Button, formatSize } from '@corral/ui';
import { useState, type ReactElement } from 'react';
import { deleteCommand } from '../../api/commands.ts';
import { asRefusal, type Refusal } from '../../api/refusal.ts';
import { remove, SNAPSHOTS } from '../../api/resources.ts';
import { CommandBlock } from '../../app/command-block.tsx';
import { Question } from '../../app/modal.tsx';
import { Trouble } from '../../app/trouble.tsx';
import { en } from '../../messages/en.ts';

export function DeleteSnapshotDialog({
  snapshot,
  onClose,
}: {
  readonly snapshot: VirtualMachineSnapshot;
  readonly onClose: () => void;
}): ReactElement {
  const [refusal, setRefusal] = useState<Refusal>();
  const { name, namespace } = snapshot.metadata;
  return (
    <Question
      title={en.snapshots.deleteTitle(name)}
      onClose={onClose}
      actions={
        <>
          <Button autoFocus onClick={onClose}>
            {en.cancel}
          </Button>
          <Button
            look="Danger"
            onClick={() =>
              void remove(SNAPSHOTS, snapshot).then(onClose, (error: unknown) => setRefusal(asRefusal(error)))
            }
          >
            {en.verbs.deleteNow}
          </Button>
        </>
      }
    >
      <p>{en.snapshots.deleteLost(formatSize(snapshot.status?.sizeBytes ?? 0))}</p>
      {refusal && (
        <Trouble title={en.verbs.refused(en.verbs.deleteNow)} detail={refusal.message} code={refusal.reason} />
      )}
      <CommandBlock
        className="mt-2"
        command={deleteCommand({ resource: SNAPSHOTS, namespace, name }, location.origin)}
      />
    </Question>
  );
}
