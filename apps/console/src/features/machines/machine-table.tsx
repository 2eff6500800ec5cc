import { Checkbox, classNames, formatSize } from '@corral/ui';
import {
  createColumnHelper,
  rowSelectionFeature,
  tableFeatures,
  useTable,
  type RowSelectionState,
} from '@tanstack/react-table';
import { useVirtualizer } from '@tanstack/react-virtual';
import { Link } from '@tanstack/react-router';
import { useEffect, useMemo, useRef, useState, type ReactElement } from 'react';
import { ActionsMenu } from '../../app/actions-menu.tsx';
import { Age } from '../../app/age.tsx';
import { useKeys } from '../../app/keys.ts';
import type { MenuAction } from '../../app/menu-popup.tsx';
import { useNow } from '../../live/now.ts';
import { en } from '../../messages/en.ts';
import type { MachineRow } from './machine-rows.ts';
import { StatusWords } from './status-words.tsx';

const ROW_PX = 42;
const features = tableFeatures({ rowSelectionFeature });
const helper = createColumnHelper<typeof features, MachineRow>();

/** Space that every cell keeps to its neighbours; the last columns give way first where it is narrow. */
const CELL = 'px-2.5 align-middle';
const SHY: Readonly<Record<string, string>> = {
  labels: 'max-[1320px]:hidden',
  memory: 'max-wide:hidden',
  source: 'max-[900px]:hidden',
  node: 'max-[760px]:hidden',
};
const WIDTHS: Readonly<Record<string, string>> = {
  select: 'w-10',
  name: 'w-[20%]',
  namespace: 'w-[11%]',
  status: '',
  source: 'w-[13%]',
  node: 'w-[9%]',
  memory: 'w-[15%]',
  labels: 'w-[13%]',
  age: 'w-[72px] text-right',
  actions: 'w-11',
};

interface MachineTableProps {
  readonly rows: readonly MachineRow[];
  readonly showNamespace: boolean;
  readonly selection: RowSelectionState;
  readonly onSelection: (next: RowSelectionState) => void;
  readonly onOpen: (row: MachineRow) => void;
  readonly actionsOf: (row: MachineRow) => readonly MenuAction[];
  /** The reader is in the list: nothing may move under the pointer. */
  readonly onReading: (reading: boolean) => void;
}

/** The fleet as rows. Only those in view are in the page, so ten thousand cost what thirty do. */
export function MachineTable({
  rows,
  showNamespace,
  selection,
  onSelection,
  onOpen,
  actionsOf,
  onReading,
}: MachineTableProps): ReactElement {
  const scroller = useRef<HTMLDivElement>(null);
  const [cursor, setCursor] = useState(-1);
  const now = useNow();

  const columns = useMemo(
    () =>
      helper.columns([
        helper.display({ id: 'select' }),
        helper.accessor((row) => row.vm.metadata.name, { id: 'name' }),
        ...(showNamespace ? [helper.accessor((row) => row.vm.metadata.namespace, { id: 'namespace' })] : []),
        helper.accessor((row) => row.status.says, { id: 'status' }),
        helper.accessor('source', { id: 'source' }),
        helper.accessor((row) => row.nodeName, { id: 'node' }),
        helper.accessor('heldBytes', { id: 'memory' }),
        helper.accessor((row) => row.vm.metadata.labels, { id: 'labels' }),
        helper.accessor((row) => row.vm.metadata.creationTimestamp, { id: 'age' }),
        helper.display({ id: 'actions' }),
      ]),
    [showNamespace],
  );
  const table = useTable({
    features,
    columns,
    data: rows as MachineRow[],
    getRowId: (row) => row.uid,
    state: { rowSelection: selection },
    onRowSelectionChange: (update) => onSelection(typeof update === 'function' ? update(selection) : update),
  });
  const tableRows = table.getRowModel().rows;

  // The React Compiler is not in use here; the virtualizer's functions may change as they like.
  // eslint-disable-next-line react-hooks/incompatible-library
  const virtualizer = useVirtualizer({
    count: tableRows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 8,
  });
  const drawn = virtualizer.getVirtualItems();
  const before = drawn[0]?.start ?? 0;
  const after = virtualizer.getTotalSize() - (drawn.at(-1)?.end ?? 0);

  const move = (by: number) => () => {
    const next = Math.max(0, Math.min(tableRows.length - 1, cursor + by));
    setCursor(next);
    virtualizer.scrollToIndex(next);
    requestAnimationFrame(() => scroller.current?.querySelector<HTMLElement>(`[data-index="${next}"] a`)?.focus());
  };
  const atCursor = tableRows[cursor];
  useKeys({
    j: move(1),
    k: move(-1),
    ArrowDown: move(1),
    ArrowUp: move(-1),
    x: () => atCursor?.toggleSelected(),
    ...(atCursor && document.activeElement === document.body ? { Enter: () => onOpen(atCursor.original) } : {}),
  });
  useEffect(() => () => onReading(false), [onReading]);

  const all = table.getIsAllRowsSelected();
  const some = table.getIsSomeRowsSelected();
  return (
    <div
      ref={scroller}
      className="min-h-0 flex-1 overflow-auto px-5 pb-24"
      onPointerEnter={() => onReading(true)}
      onPointerLeave={() => onReading(false)}
    >
      <div className="overflow-clip rounded-card border border-line bg-panel">
        <table
          aria-label={en.machines.table}
          aria-rowcount={tableRows.length + 1}
          className="w-full table-fixed border-collapse"
        >
          <thead>
            <tr aria-rowindex={1} className="h-[38px] border-b border-line text-left text-12 text-ink2">
              {table.getFlatHeaders().map(({ column: { id } }) => (
                <th
                  key={id}
                  scope="col"
                  className={classNames(
                    'sticky top-0 z-10 bg-panel font-medium',
                    CELL,
                    WIDTHS[id],
                    SHY[id],
                    id === 'select' && 'pl-3.5',
                  )}
                >
                  {id === 'select' ? (
                    <Checkbox
                      aria-label={en.machines.selectAll}
                      checked={all}
                      mixed={some && !all}
                      onChange={() => table.toggleAllRowsSelected(!all)}
                    />
                  ) : id === 'actions' ? (
                    <span className="sr-only">{en.machines.columns.actions}</span>
                  ) : (
                    en.machines.columns[id as keyof typeof en.machines.columns]
                  )}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {before > 0 && <tr aria-hidden style={{ height: before }} />}
            {drawn.map(({ index }) => {
              const row = tableRows[index];
              if (!row) return null;
              const selected = row.getIsSelected();
              return (
                <tr
                  key={row.id}
                  data-index={index}
                  aria-rowindex={index + 2}
                  aria-selected={selected}
                  onClick={() => onOpen(row.original)}
                  className={classNames(
                    'h-[42px] cursor-pointer border-b border-line last:border-0',
                    selected ? 'bg-accent/10' : 'hover:bg-hover/60',
                    index === cursor && 'shadow-[inset_0_0_0_1px_var(--color-accent)]',
                    row.original.status.says === 'Terminating' && 'text-ink3 line-through',
                  )}
                >
                  {row.getAllCells().map(({ column: { id } }) => (
                    <td key={id} className={classNames(CELL, WIDTHS[id], SHY[id], id === 'select' && 'pl-3.5')}>
                      {id === 'select' ? (
                        <Checkbox
                          aria-label={en.machines.select(row.original.vm.metadata.name)}
                          checked={selected}
                          onClick={(event) => event.stopPropagation()}
                          onChange={() => row.toggleSelected()}
                        />
                      ) : id === 'actions' ? (
                        <ActionsMenu
                          label={en.machines.actionsFor(row.original.vm.metadata.name)}
                          actions={() => actionsOf(row.original)}
                        />
                      ) : (
                        <MachineCell id={id} row={row.original} now={now} />
                      )}
                    </td>
                  ))}
                </tr>
              );
            })}
            {after > 0 && <tr aria-hidden style={{ height: after }} />}
          </tbody>
        </table>
      </div>
    </div>
  );
}

function MachineCell({
  id,
  row,
  now,
}: {
  readonly id: string;
  readonly row: MachineRow;
  readonly now: Date;
}): ReactElement {
  const { metadata } = row.vm;
  switch (id) {
    case 'name':
      return (
        <Link
          to="/machines/$namespace/$name/$tab"
          params={{ namespace: metadata.namespace ?? '', name: metadata.name, tab: 'screen' }}
          search={(previous) => ({ ns: previous.ns })}
          onClick={(event) => event.stopPropagation()}
          className="block truncate rounded-tag font-medium text-ink hover:underline"
        >
          {metadata.name}
        </Link>
      );
    case 'status':
      return <StatusWords status={row.status} now={now} />;
    case 'memory':
      return <Memory row={row} />;
    case 'labels':
      return <Labels labels={metadata.labels ?? {}} />;
    case 'age':
      return <Age isBare at={metadata.creationTimestamp} className="whitespace-nowrap text-ink2" />;
    default: {
      const text = id === 'namespace' ? metadata.namespace : id === 'source' ? row.source : row.nodeName;
      return (
        <span className="block truncate text-ink2" title={text}>
          {text || en.none}
        </span>
      );
    }
  }
}

function Memory({ row: { heldBytes, memoryBytes } }: { readonly row: MachineRow }): ReactElement {
  if (memoryBytes === undefined) return <span className="text-ink3">{en.none}</span>;
  return (
    <span className="block truncate">
      {formatSize(memoryBytes)}{' '}
      {heldBytes !== undefined && <span className="text-12 text-ink2">{en.machines.held(formatSize(heldBytes))}</span>}
    </span>
  );
}

export function Labels({ labels }: { readonly labels: Readonly<Record<string, string>> }): ReactElement {
  return (
    <span className="flex gap-1 overflow-hidden">
      {Object.entries(labels).map(([key, value]) => (
        <span
          key={key}
          className="truncate rounded-tag border border-line2 px-1.5 font-mono text-11 text-ink2"
          title={`${key}=${value}`}
        >
          {value === '' ? key : `${key}=${value}`}
        </span>
      ))}
    </span>
  );
}
