import type { VirtualMachineSnapshot } from '@corral/contracts';
import { Button, matchesFilter, parseFilter, Skeleton, snapshotStatus } from '@corral/ui';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { Network } from 'lucide-react';
import { useMemo, type ReactElement } from 'react';
import { SNAPSHOTS } from '../../api/resources.ts';
import { useCollectionPath, useNamespace } from '../../app/namespace.ts';
import { EmptyState, Page } from '../../app/page.tsx';
import { ListTrouble } from '../../app/trouble.tsx';
import { useCollection } from '../../live/live.ts';
import { en } from '../../messages/en.ts';
import { FilterInput } from '../machines/filter-row.tsx';
import { SnapshotTable } from './snapshot-table.tsx';

export function SnapshotsPage(): ReactElement {
  const navigate = useNavigate();
  const namespace = useNamespace();
  const { q = '' } = useSearch({ from: '/app/snapshots' });
  const { items, loaded, failure, retry } = useCollection<VirtualMachineSnapshot>(useCollectionPath(SNAPSHOTS));
  const shown = useMemo(() => {
    const terms = parseFilter(q);
    return items.filter((snapshot) =>
      matchesFilter(terms, {
        name: snapshot.metadata.name,
        labels: snapshot.metadata.labels ?? {},
        facets: {
          machine: snapshot.spec?.virtualMachine ?? '',
          status: snapshotStatus(snapshot).says,
          namespace: snapshot.metadata.namespace ?? '',
        },
      }),
    );
  }, [items, q]);
  const filter = (query: string): void =>
    void navigate({ to: '/snapshots', search: (previous) => ({ ...previous, q: query || undefined }), replace: true });
  return (
    <Page
      title={en.snapshots.title}
      failed={items.filter((snapshot) => snapshotStatus(snapshot).says === 'Failed').length}
    >
      <div className="flex min-h-0 flex-1 flex-col gap-3.5 overflow-y-auto px-5 py-3.5 max-phone:px-4">
        {failure && <ListTrouble what={en.snapshots.what} failure={failure} onRetry={retry} />}
        {!loaded ? (
          !failure && <Skeleton className="h-40 w-full" />
        ) : items.length === 0 ? (
          <EmptyState icon={<Network size={26} />} title={en.snapshots.none} hint={en.snapshots.noneHint} />
        ) : (
          <>
            <FilterInput value={q} hint={en.snapshots.filterHint} onChange={filter} />
            {shown.length === 0 ? (
              <div className="flex flex-col items-center gap-3 py-16">
                <p>{en.snapshots.noMatch(q)}</p>
                <Button onClick={() => filter('')}>{en.machines.clearFilter}</Button>
              </div>
            ) : (
              <SnapshotTable snapshots={shown} showMachine showNamespace={namespace === undefined} />
            )}
          </>
        )}
      </div>
    </Page>
  );
}
