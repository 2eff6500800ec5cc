import { apiPath, type VirtualMachine, type VirtualMachineSnapshot } from '@corral/contracts';
import { Button, formatAge, snapshotStatus, StatusGlyph } from '@corral/ui';
import { useCallback, useEffect, useRef, useState, type ReactElement } from 'react';
import { patchCommand } from '../../api/commands.ts';
import { asRefusal, type Refusal } from '../../api/refusal.ts';
import { MACHINES, rollBack, rollbackPatch, SNAPSHOTS } from '../../api/resources.ts';
import { CommandBlock } from '../../app/command-block.tsx';
import { Question } from '../../app/modal.tsx';
import { notify } from '../../app/notices.tsx';
import { Trouble } from '../../app/trouble.tsx';
import { serverNow, useOnline } from '../../live/live.ts';
import { useNow } from '../../live/now.ts';
import { en } from '../../messages/en.ts';
import { snapshotNow } from './take-snapshot.ts';
import { useSnapshots } from './use-snapshots.ts';

interface RollbackDialogProps {
  readonly vm: VirtualMachine;
  readonly snapshot: VirtualMachineSnapshot;
  /** Whether the machine has a memory that could be kept first. */
  readonly snapshottable: boolean;
  readonly onClose: () => void;
}

/** Says what is given up before it is; offers to keep it as a snapshot first, and waits until that is safe. */
export function RollbackDialog({ vm, snapshot, snapshottable, onClose }: RollbackDialogProps): ReactElement {
  const now = useNow();
  const online = useOnline();
  const { items } = useSnapshots(apiPath(SNAPSHOTS, vm.metadata.namespace));
  const [keptUid, setKeptUid] = useState<string>();
  const [refusal, setRefusal] = useState<Refusal>();
  const [busy, setBusy] = useState(false);
  const asked = useRef(false);
  const { name } = snapshot.metadata;

  const goBack = useCallback(async () => {
    setBusy(true);
    try {
      await rollBack(vm, name, serverNow());
      notify({ text: en.rollback.told(vm.metadata.name, name) });
      onClose();
    } catch (error) {
      setRefusal(asRefusal(error));
      setBusy(false);
    }
  }, [vm, name, onClose]);

  const kept = items.find(({ metadata }) => metadata.uid === keptUid);
  const keptSays = kept && snapshotStatus(kept);
  useEffect(() => {
    if (keptSays?.says !== 'Verified' || asked.current) return;
    asked.current = true;
    void goBack();
  }, [keptSays?.says, goBack]);
  const waiting = keptUid !== undefined && keptSays?.says !== 'Failed' && refusal === undefined;

  return (
    <Question
      title={en.rollback.title(vm.metadata.name, name)}
      onClose={onClose}
      actions={
        <>
          <Button autoFocus onClick={onClose}>
            {en.cancel}
          </Button>
          <Button look="Danger" disabled={busy || waiting || !online} onClick={() => void goBack()}>
            {snapshottable ? en.rollback.without : en.timeline.rollBackNow}
          </Button>
          {snapshottable && (
            <Button
              look="Primary"
              disabled={busy || waiting || !online}
              onClick={() => {
                asked.current = false;
                setRefusal(undefined);
                void snapshotNow(vm)
                  .then(({ metadata }) => setKeptUid(metadata.uid))
                  .catch((error: unknown) => setRefusal(asRefusal(error)));
              }}
            >
              {en.rollback.keptFirst}
            </Button>
          )}
        </>
      }
    >
      <p>{en.rollback.lost(formatAge(snapshot.metadata.creationTimestamp, now))}</p>
      {waiting && (
        <p role="status" className="flex items-center gap-2 text-ink">
          <StatusGlyph shape="Arc" tone="Motion" />
          {en.rollback.waiting}
        </p>
      )}
      {keptSays?.says === 'Failed' && <Trouble title={en.notice.refused} detail={keptSays.reason} />}
      {refusal && (
        <Trouble title={en.verbs.refused(en.timeline.rollBackNow)} detail={refusal.message} code={refusal.reason} />
      )}
      <CommandBlock
        className="mt-2"
        command={patchCommand(
          { resource: MACHINES, namespace: vm.metadata.namespace, name: vm.metadata.name },
          rollbackPatch(vm, name, now),
          location.origin,
        )}
      />
    </Question>
  );
}
