import type { VirtualMachineSnapshot } from '@corral/contracts';
import {
  Button,
  classNames,
  formatAge,
  formatSize,
  IconButton,
  Meter,
  snapshotStatus,
  StatusGlyph,
  toneClass,
} from '@corral/ui';
import { useNavigate } from '@tanstack/react-router';
import { RotateCcw, Trash2 } from 'lucide-react';
import { lazy, Suspense, useState, type ReactElement } from 'react';
import { usePhone } from '../../app/media.ts';
import { useNow } from '../../live/now.ts';
import { en } from '../../messages/en.ts';

const DeleteSnapshotDialog = lazy(async () => ({
  default: (await import('./delete-snapshot-dialog.tsx')).DeleteSnapshotDialog,
}));

/** Opens the New machine dialog with a snapshot chosen. */
export function useRestore(): (snapshot: VirtualMachineSnapshot) => void {
  const navigate = useNavigate();
  return ({ metadata }) =>
    void navigate({
      to: '.',
      search: (previous) => ({
        ...previous,
        ns: metadata.namespace === 'default' ? undefined : metadata.namespace,
        new: 'machine',
        snapshot: metadata.name,
      }),
    });
}

export const newestFirst = (snapshots: readonly VirtualMachineSnapshot[]): VirtualMachineSnapshot[] =>
  [...snapshots].sort(
    (a, b) =>
      Date.parse(b.metadata.creationTimestamp) - Date.parse(a.metadata.creationTimestamp) ||
      (a.metadata.name < b.metadata.name ? 1 : -1),
  );

/** State of a snapshot; while it uploads, how far it is. */
export function SnapshotWords({ snapshot }: { readonly snapshot: VirtualMachineSnapshot }): ReactElement {
  const status = snapshotStatus(snapshot);
  const { uploadedBytes = 0, totalBytes } = snapshot.status ?? {};
  return (
    <span className="flex min-w-0 items-center gap-2">
      <StatusGlyph shape={status.shape} tone={status.tone} />
      <span className={classNames(toneClass(status.tone), 'shrink-0 font-medium')}>{en.snapshotSays[status.says]}</span>
      {status.says === 'Uploading' && totalBytes !== undefined ? (
        <>
          <Meter
            label={en.snapshots.uploading(formatSize(uploadedBytes), formatSize(totalBytes))}
            total={totalBytes}
            parts={[{ label: en.snapshotSays.Uploading, value: uploadedBytes, className: 'bg-motion' }]}
            className="w-20 shrink-0"
          />
          <span className="truncate text-12 text-ink2">
            {en.snapshots.uploading(formatSize(uploadedBytes), formatSize(totalBytes))}
          </span>
        </>
      ) : (
        status.reason !== '' && (
          <span className="truncate text-12 text-ink2" title={status.reason}>
            {status.reason}
          </span>
        )
      )}
    </span>
  );
}

/** Snapshots, newest first, with what one can do with each. */
export function SnapshotTable({
  snapshots,
  showMachine,
  showNamespace = false,
}: {
  readonly snapshots: readonly VirtualMachineSnapshot[];
  readonly showMachine: boolean;
  readonly showNamespace?: boolean;
}): ReactElement {
  const phone = usePhone();
  const now = useNow();
  const restore = useRestore();
  const [deleting, setDeleting] = useState<VirtualMachineSnapshot>();
  const sorted = newestFirst(snapshots);
  const actions = (snapshot: VirtualMachineSnapshot): ReactElement => (
    <span className="flex justify-end gap-1.5">
      <Button
        size="Small"
        icon={<RotateCcw aria-hidden size={13} />}
        disabled={snapshotStatus(snapshot).says !== 'Verified'}
        aria-label={en.snapshots.restoreFrom(snapshot.metadata.name)}
        onClick={() => restore(snapshot)}
      >
        {en.verbs.restore}
      </Button>
      <IconButton
        label={en.snapshots.deleteNamed(snapshot.metadata.name)}
        disabled={snapshotStatus(snapshot).says === 'Terminating'}
        onClick={() => setDeleting(snapshot)}
      >
        <Trash2 aria-hidden size={14} />
      </IconButton>
    </span>
  );
  return (
    <>
      {phone ? (
        <ul aria-label={en.snapshots.table} className="divide-y divide-line">
          {sorted.map((snapshot) => (
            <li key={snapshot.metadata.uid} className="flex items-center gap-3 py-3">
              <span className="flex min-w-0 flex-1 flex-col gap-1">
                <span className="truncate font-medium">{snapshot.metadata.name}</span>
                <SnapshotWords snapshot={snapshot} />
                <span className="text-12 text-ink2">
                  {[
                    en.ago(formatAge(snapshot.metadata.creationTimestamp, now)),
                    formatSize(snapshot.status?.sizeBytes),
                  ].join(', ')}
                </span>
              </span>
              {actions(snapshot)}
            </li>
          ))}
        </ul>
      ) : (
        <div className="overflow-clip rounded-card border border-line bg-panel">
          <table aria-label={en.snapshots.table} className="w-full table-fixed">
            <thead className="text-left text-12 text-ink2">
              <tr className="h-[38px] border-b border-line">
                <th scope="col" className="w-[28%] pr-2 pl-4 font-medium">
                  {en.snapshots.columns.name}
                </th>
                {showNamespace && (
                  <th scope="col" className="px-2 font-medium">
                    {en.snapshots.columns.namespace}
                  </th>
                )}
                <th scope="col" className="px-2 font-medium">
                  {en.snapshots.columns.status}
                </th>
                {showMachine && (
                  <th scope="col" className="w-[14%] px-2 font-medium">
                    {en.snapshots.columns.machine}
                  </th>
                )}
                <th scope="col" className="w-24 px-2 text-right font-medium">
                  {en.snapshots.columns.size}
                </th>
                <th scope="col" className="w-20 px-2 text-right font-medium max-wide:hidden">
                  {en.snapshots.columns.pause}
                </th>
                <th scope="col" className="w-20 px-2 text-right font-medium">
                  {en.snapshots.columns.age}
                </th>
                <th scope="col" className="w-36">
                  <span className="sr-only">{en.snapshots.columns.actions}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {sorted.map((snapshot) => (
                <tr
                  key={snapshot.metadata.uid}
                  className="h-[42px] border-b border-line last:border-0 hover:bg-hover/60"
                >
                  <td className="truncate pr-2 pl-4 font-medium" title={snapshot.metadata.name}>
                    {snapshot.metadata.name}
                  </td>
                  {showNamespace && <td className="truncate px-2 text-ink2">{snapshot.metadata.namespace}</td>}
                  <td className="px-2">
                    <SnapshotWords snapshot={snapshot} />
                  </td>
                  {showMachine && <td className="truncate px-2 text-ink2">{snapshot.spec?.virtualMachine}</td>}
                  <td className="px-2 text-right text-ink2">{formatSize(snapshot.status?.sizeBytes)}</td>
                  <td className="px-2 text-right text-ink2 max-wide:hidden">
                    {snapshot.status?.pauseMilliseconds === undefined
                      ? en.none
                      : en.snapshots.pauseShort(snapshot.status.pauseMilliseconds)}
                  </td>
                  <td className="px-2 text-right text-ink2" title={en.moment(snapshot.metadata.creationTimestamp)}>
                    {formatAge(snapshot.metadata.creationTimestamp, now)}
                  </td>
                  <td className="pr-3 pl-2">{actions(snapshot)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Suspense>
        {deleting && <DeleteSnapshotDialog snapshot={deleting} onClose={() => setDeleting(undefined)} />}
      </Suspense>
    </>
  );
}
