import type { VirtualMachine } from '@corral/contracts';
import { Button, matchesFilter, parseFilter, Skeleton, snapshotStatus } from '@corral/ui';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { Network, Rows3 } from 'lucide-react';
import { lazy, Suspense, useMemo, type ReactElement } from 'react';
import { MACHINES, SNAPSHOTS } from '../../api/resources.ts';
import { usePhone } from '../../app/media.ts';
import { useCollectionPath, useNamespace } from '../../app/namespace.ts';
import { EmptyState, Page } from '../../app/page.tsx';
import { ListTrouble } from '../../app/trouble.tsx';
import { useCollection } from '../../live/live.ts';
import { en } from '../../messages/en.ts';
import { FilterInput } from '../machines/filter-row.tsx';
import { SnapshotTable } from './snapshot-table.tsx';
import { useSnapshots } from './use-snapshots.ts';

const SnapshotTree = lazy(async () => ({ default: (await import('./lineage-tree.tsx')).SnapshotTree }));

const VIEW_KEY = 'corral.snapshots-view';
const VIEWS = { table: Rows3, tree: Network } as const;
type View = keyof typeof VIEWS;

export function SnapshotsPage(): ReactElement {
  const navigate = useNavigate();
  const namespace = useNamespace();
  const phone = usePhone();
  const { q = '', draw: asked } = useSearch({ from: '/app/snapshots' });
  const view: View = phone ? 'table' : (asked ?? (localStorage.getItem(VIEW_KEY) === 'tree' ? 'tree' : 'table'));
  const machines = useCollection<VirtualMachine>(useCollectionPath(MACHINES));
  const { items, loaded, failure, retry } = useSnapshots(useCollectionPath(SNAPSHOTS));
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
            <div className="flex flex-wrap items-center gap-2.5">
              {!phone && (
                <ViewSwitch
                  view={view}
                  onView={(next) => {
                    localStorage.setItem(VIEW_KEY, next);
                    void navigate({ to: '/snapshots', search: (previous) => ({ ...previous, draw: next }), replace: true });
                  }}
                />
              )}
              <FilterInput value={q} hint={en.snapshots.filterHint} onChange={filter} />
            </div>
            {shown.length === 0 ? (
              <div className="flex flex-col items-center gap-3 py-16">
                <p>{en.snapshots.noMatch(q)}</p>
                <Button onClick={() => filter('')}>{en.machines.clearFilter}</Button>
              </div>
            ) : view === 'tree' ? (
              <Suspense>
                <SnapshotTree snapshots={shown} machines={machines.items} canKeep={hasMemory} />
              </Suspense>
            ) : (
              <SnapshotTable snapshots={shown} showMachine showNamespace={namespace === undefined} />
            )}
          </>
        )}
      </div>
    </Page>
  );
}

const hasMemory = ({ status }: VirtualMachine): boolean => status?.phase === 'Running' || status?.phase === 'Paused';

function ViewSwitch({ view, onView }: { readonly view: View; readonly onView: (view: View) => void }): ReactElement {
  return (
    <div role="group" aria-label={en.tree.view} className="flex h-8 rounded-control border border-line2 p-0.5">
      {(['table', 'tree'] as const).map((one) => {
        const Icon = VIEWS[one];
        return (
          <button
            key={one}
            type="button"
            aria-pressed={view === one}
            title={en.tree.views[one]}
            onClick={() => onView(one)}
            className="flex items-center gap-1.5 rounded-tag px-2.5 font-medium text-ink2 hover:text-ink aria-pressed:bg-hover aria-pressed:text-ink"
          >
            <Icon aria-hidden size={14} />
            {en.tree.views[one]}
          </button>
        );
      })}
    </div>
  );
}
