import { Button, Kbd, Skeleton } from '@corral/ui';
import { useNavigate, useSearch } from '@tanstack/react-router';
import type { RowSelectionState } from '@tanstack/react-table';
import { LayoutGrid, Plus, Rows3 } from 'lucide-react';
import { lazy, Suspense, useCallback, useMemo, useState, type ReactElement } from 'react';
import { asRefusal } from '../../api/refusal.ts';
import { useKeys } from '../../app/keys.ts';
import { usePhone } from '../../app/media.ts';
import { useNamespace } from '../../app/namespace.ts';
import { notify } from '../../app/notices.tsx';
import { Page } from '../../app/page.tsx';
import { ListTrouble } from '../../app/trouble.tsx';
import { en } from '../../messages/en.ts';
import { snapshotNow } from '../snapshots/take-snapshot.ts';
import { FilterRow } from './filter-row.tsx';
import { machineActions } from './machine-actions.ts';
import { compareRows, countFacets, facetOf, filterRows, settleOrder, type MachineRow } from './machine-rows.ts';
import { canSnapshot } from './machine-verbs.ts';
import { useMachineRows } from './use-machines.ts';

// Not before the first paint: what only some first views need.
const loadWall = () => import('./machine-wall.tsx');
const MachineWall = lazy(async () => ({ default: (await loadWall()).MachineWall }));
const FleetSummary = lazy(async () => ({ default: (await loadWall()).FleetSummary }));
const MachineTable = lazy(async () => ({ default: (await import('./machine-table.tsx')).MachineTable }));
const BulkBar = lazy(async () => ({ default: (await import('./bulk-bar.tsx')).BulkBar }));
const FirstMachine = lazy(async () => ({ default: (await import('./first-machine.tsx')).FirstMachine }));
const MachineList = lazy(async () => ({ default: (await import('./machine-list.tsx')).MachineList }));
const DeleteDialog = lazy(async () => ({ default: (await import('./delete-dialog.tsx')).DeleteDialog }));

const VIEW_KEY = 'corral.machines-view';

export function MachinesPage(): ReactElement {
  const navigate = useNavigate();
  const phone = usePhone();
  const namespace = useNamespace();
  const { q = '', status: facet, view: asked } = useSearch({ from: '/app/machines' });
  const view = asked ?? (localStorage.getItem(VIEW_KEY) === 'table' ? 'table' : 'wall');
  const { rows: all, loaded, failure, retry } = useMachineRows();
  const [selection, setSelection] = useState<RowSelectionState>({});
  const [reading, setReading] = useState(false);
  const [deleting, setDeleting] = useState<readonly MachineRow[]>([]);

  const matching = useMemo(() => filterRows(all, q), [all, q]);
  const inFacet = useMemo(
    () => matching.filter((row) => facet === undefined || facetOf(row.status) === facet),
    [matching, facet],
  );
  const selected = useMemo(() => all.filter(({ uid }) => selection[uid]), [all, selection]);
  const { rows, waiting, apply } = useSettled(inFacet, reading || selected.length > 0, `${namespace}|${q}|${facet}`);

  const open = useCallback(
    ({ vm: { metadata } }: MachineRow) =>
      void navigate({
        to: '/machines/$namespace/$name/$tab',
        params: { namespace: metadata.namespace ?? '', name: metadata.name, tab: 'screen' },
        search: (previous) => ({ ns: previous.ns }),
      }),
    [navigate],
  );
  const search = useCallback(
    (next: {
      readonly q?: string | undefined;
      readonly status?: string | undefined;
      readonly view?: 'wall' | 'table';
    }) => void navigate({ to: '/machines', search: (previous) => ({ ...previous, ...next }), replace: true }),
    [navigate],
  );
  const create = (): void => void navigate({ to: '.', search: (previous) => ({ ...previous, new: 'machine' }) });
  const snapshot = ({ vm }: MachineRow): void =>
    void snapshotNow(vm)
      .then(({ metadata }) =>
        notify({
          text: en.notice.snapshotAsked(metadata.name),
          action: {
            label: en.notice.show,
            run: () => void navigate({ to: '/snapshots', search: (previous) => ({ ns: previous.ns }) }),
          },
        }),
      )
      .catch((error: unknown) =>
        notify({ text: en.verbs.refused(en.verbs.snapshot), detail: asRefusal(error).message, error: true }),
      );

  useKeys({
    Delete: () => selected.length > 0 && setDeleting(selected),
    ...(selected.length > 0 ? { Escape: () => setSelection({}) } : {}),
  });

  const failed = all.filter(({ status }) => status.says === 'Failed').length;
  return (
    <Page
      title={en.machines.title}
      failed={failed}
      actions={
        !phone && (
          <Button look="Primary" icon={<Plus aria-hidden size={15} />} onClick={create}>
            {en.machines.new}
            <Kbd>C</Kbd>
          </Button>
        )
      }
    >
      <Suspense>{all.length > 0 && view === 'wall' && !phone && <FleetSummary rows={all} />}</Suspense>
      {all.length > 0 && (
        <FilterRow
          query={q}
          onQuery={(next) => search({ q: next || undefined })}
          facet={facet}
          onFacet={(next) => search({ status: next })}
          counts={countFacets(matching)}
        >
          {!phone && (
            <ViewSwitch
              view={view}
              onView={(next) => {
                localStorage.setItem(VIEW_KEY, next);
                setSelection({});
                search({ view: next });
              }}
            />
          )}
        </FilterRow>
      )}
      {failure && (
        <div className="px-5 pb-3 max-phone:px-4">
          <ListTrouble what={en.machines.what} failure={failure} onRetry={retry} />
        </div>
      )}
      {!loaded ? (
        !failure && <TableSkeleton />
      ) : all.length === 0 ? (
        <Suspense>
          <FirstMachine namespace={namespace ?? 'default'} onCreate={create} />
        </Suspense>
      ) : rows.length === 0 && waiting === 0 ? (
        <NoMatch
          query={[q, facet].filter(Boolean).join(' ')}
          hidden={all.length}
          onClear={() => search({ q: undefined, status: undefined })}
        />
      ) : phone ? (
        <Suspense>
          <MachineList rows={rows} />
        </Suspense>
      ) : (
        <div className="relative flex min-h-0 flex-1 flex-col">
          {waiting > 0 && (
            <div className="pointer-events-none absolute inset-x-0 top-1 z-20 flex justify-center">
              <button
                type="button"
                onClick={apply}
                className="pointer-events-auto flex h-7 animate-appear items-center gap-2 rounded-full border border-line2 bg-raised px-3 text-12 shadow-float hover:bg-hover"
              >
                {en.machines.changes(waiting)}
                <span className="font-strong text-accent">{en.machines.showChanges}</span>
              </button>
            </div>
          )}
          <Suspense>
            {view === 'wall' ? (
              <MachineWall rows={rows} onReading={setReading} />
            ) : (
              <MachineTable
                rows={rows}
                showNamespace={namespace === undefined}
                selection={selection}
                onSelection={setSelection}
                onOpen={open}
                onReading={setReading}
                actionsOf={(row) =>
                  machineActions(row.vm, row.status, {
                    snapshot: () => snapshot(row),
                    remove: () => setDeleting([row]),
                  })
                }
              />
            )}
          </Suspense>
          <Suspense>
            {selected.length > 0 && (
              <BulkBar rows={selected} onDelete={() => setDeleting(selected)} onClear={() => setSelection({})} />
            )}
          </Suspense>
        </div>
      )}
      <Suspense>
        {deleting.length > 0 && (
          <DeleteDialog
            machines={deleting.map(({ vm }) => vm)}
            snapshottable={deleting.every(({ status }) => canSnapshot(status))}
            onClose={() => setDeleting([])}
            onDeleted={() => {
              setDeleting([]);
              setSelection({});
            }}
          />
        )}
      </Suspense>
    </Page>
  );
}

/** Rows in an order that does not move while it is held. `apply` lets it move once. Another `scope` is another list. */
function useSettled(
  rows: readonly MachineRow[],
  held: boolean,
  scope: string,
): { readonly rows: readonly MachineRow[]; readonly waiting: number; readonly apply: () => void } {
  const [released, setReleased] = useState(0);
  const key = `${scope}|${released}`;
  const [shown, setShown] = useState<{ readonly key: string; readonly order: readonly string[] }>({ key, order: [] });
  const right = useMemo(() => [...rows].sort(compareRows).map(({ uid }) => uid), [rows]);
  const { order, waiting } = settleOrder(shown.key === key ? shown.order : [], right, held);
  // State that follows from what was drawn before: React draws once more with it, before anything is on the screen.
  if (shown.key !== key || shown.order.join() !== order.join()) setShown({ key, order });
  const orderKey = order.join();
  const settled = useMemo(() => {
    const byUid = new Map(rows.map((row) => [row.uid, row]));
    return orderKey.split(',').flatMap((uid) => byUid.get(uid) ?? []);
  }, [rows, orderKey]);
  return { rows: settled, waiting, apply: () => setReleased((times) => times + 1) };
}

const VIEWS = [
  { view: 'wall', icon: LayoutGrid },
  { view: 'table', icon: Rows3 },
] as const;

function ViewSwitch({
  view,
  onView,
}: {
  readonly view: 'wall' | 'table';
  readonly onView: (view: 'wall' | 'table') => void;
}): ReactElement {
  return (
    <div role="group" aria-label={en.machines.view} className="flex rounded-control border border-line2 bg-panel p-0.5">
      {VIEWS.map(({ view: one, icon: Icon }) => (
        <button
          key={one}
          type="button"
          aria-pressed={view === one}
          onClick={() => onView(one)}
          className="flex h-[26px] items-center gap-2 rounded-[6px] px-2.5 font-medium text-ink2 hover:text-ink aria-pressed:bg-hover aria-pressed:text-ink"
        >
          <Icon aria-hidden size={14} />
          {en.machines.views[one]}
        </button>
      ))}
    </div>
  );
}

function NoMatch({
  query,
  hidden,
  onClear,
}: {
  readonly query: string;
  readonly hidden: number;
  readonly onClear: () => void;
}): ReactElement {
  return (
    <div className="flex flex-col items-center gap-3 py-16 text-center">
      <p>
        {en.machines.noMatch(query)} <span className="text-ink2">{en.machines.hidden(hidden)}</span>
      </p>
      <Button onClick={onClear}>{en.machines.clearFilter}</Button>
    </div>
  );
}

function TableSkeleton(): ReactElement {
  return (
    <div className="mx-5 mt-16 divide-y divide-line overflow-hidden rounded-card border border-line bg-panel" aria-busy>
      {Array.from({ length: 8 }, (_, row) => (
        <div key={row} className="flex h-[42px] items-center gap-6 px-4">
          <Skeleton className="size-4" />
          <Skeleton className="h-3 w-40" />
          <Skeleton className="h-3 w-28" />
          <Skeleton className="h-3 flex-1" />
          <Skeleton className="h-3 w-12" />
        </div>
      ))}
    </div>
  );
}
