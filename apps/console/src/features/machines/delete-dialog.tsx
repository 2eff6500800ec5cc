import { apiPath, type VirtualMachine } from '@corral/contracts';
import { Button, formatAge, snapshotStatus, StatusGlyph } from '@corral/ui';
import { useCallback, useEffect, useRef, useState, type ReactElement } from 'react';
import { deleteCommand } from '../../api/commands.ts';
import { asRefusal, type Refusal } from '../../api/refusal.ts';
import { MACHINES, SNAPSHOTS } from '../../api/resources.ts';
import { CommandBlock } from '../../app/command-block.tsx';
import { Question } from '../../app/modal.tsx';
import { Trouble } from '../../app/trouble.tsx';
import { ask } from '../../live/intents.ts';
import { useOnline } from '../../live/live.ts';
import { useNow } from '../../live/now.ts';
import { en } from '../../messages/en.ts';
import { snapshotNow } from '../snapshots/take-snapshot.ts';
import { useSnapshots } from '../snapshots/use-snapshots.ts';

interface DeleteDialogProps {
  readonly machines: readonly VirtualMachine[];
  readonly snapshottable: boolean;
  readonly onClose: () => void;
  /** Told once the API took the deletion. */
  readonly onDeleted: () => void;
}

/** Says what is lost before it is. With one machine, offers to keep it as a snapshot first, and waits until that is safe. */
export function DeleteDialog({ machines, snapshottable, onClose, onDeleted }: DeleteDialogProps): ReactElement {
  const now = useNow();
  const online = useOnline();
  const only = machines.length === 1 ? machines[0] : undefined;
  const { items } = useSnapshots(only && apiPath(SNAPSHOTS, only.metadata.namespace));
  const [snapshotUid, setSnapshotUid] = useState<string>();
  const [refusal, setRefusal] = useState<Refusal>();
  const [busy, setBusy] = useState(false);
  const deleted = useRef(false);

  const remove = useCallback(async () => {
    setBusy(true);
    const answers = await Promise.allSettled(machines.map((vm) => ask(vm, { type: 'Delete' })));
    const refused = answers.find((answer) => answer.status === 'rejected');
    setBusy(false);
    if (refused) setRefusal(asRefusal(refused.reason));
    else onDeleted();
  }, [machines, onDeleted]);

  const taken = items.find(({ metadata }) => metadata.uid === snapshotUid);
  const takenSays = taken && snapshotStatus(taken);
  useEffect(() => {
    if (takenSays?.says !== 'Verified' || deleted.current) return;
    deleted.current = true;
    void remove();
  }, [takenSays?.says, remove]);

  const latest = items
    .filter(
      (snapshot) =>
        snapshot.spec?.virtualMachine === only?.metadata.name && snapshotStatus(snapshot).says === 'Verified',
    )
    .sort((a, b) => Date.parse(b.metadata.creationTimestamp) - Date.parse(a.metadata.creationTimestamp))[0];
  const waiting = snapshotUid !== undefined && takenSays?.says !== 'Failed';

  return (
    <Question
      title={en.deleteMachine.title(machines.map(({ metadata }) => metadata.name))}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose} autoFocus>
            {en.cancel}
          </Button>
          <Button look="Danger" disabled={busy || waiting || !online} onClick={() => void remove()}>
            {en.verbs.deleteNow}
          </Button>
          {only && snapshottable && (
            <Button
              look="Primary"
              disabled={busy || waiting || !online}
              onClick={() =>
                void snapshotNow(only)
                  .then(({ metadata }) => setSnapshotUid(metadata.uid))
                  .catch((error: unknown) => setRefusal(asRefusal(error)))
              }
            >
              {en.deleteMachine.snapshotFirst}
            </Button>
          )}
        </>
      }
    >
      <p>{en.deleteMachine.lost(machines.length)}</p>
      <p>
        {!only
          ? en.deleteMachine.several
          : latest
            ? en.deleteMachine.since(latest.metadata.name, formatAge(latest.metadata.creationTimestamp, now))
            : en.deleteMachine.noSnapshot}
      </p>
      {waiting && (
        <p role="status" className="flex items-center gap-2 text-ink">
          <StatusGlyph shape="Arc" tone="Motion" />
          {en.deleteMachine.waiting}
        </p>
      )}
      {takenSays?.says === 'Failed' && <Trouble title={en.notice.refused} detail={takenSays.reason} />}
      {refusal && (
        <Trouble title={en.verbs.refused(en.verbs.deleteNow)} detail={refusal.message} code={refusal.reason} />
      )}
      {only && (
        <CommandBlock
          className="mt-2"
          command={deleteCommand(
            { resource: MACHINES, namespace: only.metadata.namespace, name: only.metadata.name },
            location.origin,
          )}
        />
      )}
    </Question>
  );
}
