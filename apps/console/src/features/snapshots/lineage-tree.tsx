import type { VirtualMachine, VirtualMachineSnapshot } from '@corral/contracts';
import { Button, classNames, displayStatus, formatAge, formatSize, snapshotStatus, StatusGlyph, toneClass } from '@corral/ui';
import { Link } from '@tanstack/react-router';
import { Diamond, GitFork, History, Trash2 } from 'lucide-react';
import { lazy, Suspense, useMemo, useRef, useState, type KeyboardEvent, type ReactElement, type ReactNode } from 'react';
import { Age } from '../../app/age.tsx';
import { useNow } from '../../live/now.ts';
import { en } from '../../messages/en.ts';
import { StoredScreen } from '../machine/stored-screen.tsx';
import { kindOf } from './lineage.ts';
import { layOutTree, neighbourOf, type TreeItem, type TreeNode } from './snapshot-tree.ts';
import { SnapshotWords, useRestore } from './snapshot-table.tsx';

const DeleteSnapshotDialog = lazy(async () => ({
  default: (await import('./delete-snapshot-dialog.tsx')).DeleteSnapshotDialog,
}));
const RollbackDialog = lazy(async () => ({ default: (await import('./rollback-dialog.tsx')).RollbackDialog }));

const CARD = { width: 196, height: 66, columnGap: 44, rowGap: 14 } as const;
const left = ({ column }: TreeNode): number => column * (CARD.width + CARD.columnGap);
const top = ({ row }: TreeNode): number => row * (CARD.height + CARD.rowGap);

/** What came from what, from left to right, and which machines go on from where. One tab stop; arrows move. */
export function SnapshotTree({
  snapshots,
  machines,
  canKeep,
}: {
  readonly snapshots: readonly VirtualMachineSnapshot[];
  readonly machines: readonly VirtualMachine[];
  /** Whether a machine has a memory now that could be kept before it is rolled back. */
  readonly canKeep: (vm: VirtualMachine) => boolean;
}): ReactElement {
  const fork = useRestore();
  const canvas = useRef<HTMLDivElement>(null);
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set());
  const [chosenKey, setChosenKey] = useState<string>();
  const tree = useMemo(() => layOutTree(snapshots, machines, opened), [snapshots, machines, opened]);
  const chosen = tree.nodes.find(({ key }) => key === chosenKey);
  const byKey = new Map(tree.nodes.map((node) => [node.key, node]));

  const choose = (key: string): void => {
    setChosenKey(key);
    canvas.current?.querySelector<HTMLElement>(`[data-key="${key}"]`)?.focus();
  };
  const open = (key: string): void => setOpened((before) => new Set(before).add(key));
  const keyDown = (event: KeyboardEvent<HTMLDivElement>): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'ArrowRight' && chosen?.item.type === 'Checkpoints') {
      event.preventDefault();
      return open(chosen.key);
    }
    if (event.key === 'f' && chosen?.item.type === 'Snapshot') {
      event.preventDefault();
      return fork(chosen.item.snapshot);
    }
    const next = event.key.startsWith('Arrow') ? neighbourOf(tree, chosenKey, event.key) : undefined;
    if (event.key.startsWith('Arrow')) event.preventDefault();
    if (next) choose(next.key);
  };
  return (
    <div className="flex min-h-0 flex-1 gap-4 max-wide:flex-col">
      <div className="min-h-0 min-w-0 flex-1 overflow-auto rounded-card border border-line bg-panel p-5">
        <div
          ref={canvas}
          role="tree"
          aria-label={en.tree.label}
          onKeyDown={keyDown}
          className="relative"
          style={{
            width: tree.columns * (CARD.width + CARD.columnGap) - CARD.columnGap,
            height: tree.rows * (CARD.height + CARD.rowGap) - CARD.rowGap,
          }}
        >
          <svg aria-hidden className="absolute inset-0 size-full overflow-visible text-line2">
            {tree.nodes.map((node) => {
              const parent = node.parent === undefined ? undefined : byKey.get(node.parent);
              return parent && <path key={node.key} d={edge(parent, node)} fill="none" stroke="currentColor" strokeWidth={1.5} />;
            })}
          </svg>
          {tree.nodes.map((node, index) => (
            <Card
              key={node.key}
              node={node}
              isChosen={node.key === chosenKey}
              isTabStop={chosen ? node.key === chosenKey : index === 0}
              onChoose={() => (node.key === chosenKey && node.item.type === 'Checkpoints' ? open(node.key) : setChosenKey(node.key))}
            />
          ))}
        </div>
      </div>
      <aside aria-label={en.machine.details} className="w-[316px] shrink-0 overflow-y-auto rounded-card border border-line bg-panel p-4 max-wide:w-full">
        {chosen ? (
          <Story item={chosen.item} snapshots={snapshots} machines={machines} canKeep={canKeep} onOpen={() => open(chosen.key)} />
        ) : (
          <p className="text-ink2">{en.tree.choose}</p>
        )}
      </aside>
    </div>
  );
}

/** From the right side of what was before to the left side of what came of it. */
function edge(from: TreeNode, to: TreeNode): string {
  const [x1, y1] = [left(from) + CARD.width, top(from) + CARD.height / 2];
  const [x2, y2] = [left(to), top(to) + CARD.height / 2];
  const middle = (x1 + x2) / 2;
  return `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`;
}

function Card({
  node,
  isChosen,
  isTabStop,
  onChoose,
}: {
  readonly node: TreeNode;
  readonly isChosen: boolean;
  readonly isTabStop: boolean;
  readonly onChoose: () => void;
}): ReactElement {
  const now = useNow();
  const { item } = node;
  const isSettled = item.type !== 'Snapshot' || snapshotStatus(item.snapshot).says === 'Verified';
  return (
    <div
      role="treeitem"
      data-key={node.key}
      aria-level={node.column + 1}
      aria-selected={isChosen}
      tabIndex={isTabStop ? 0 : -1}
      onClick={onChoose}
      onFocus={() => !isChosen && item.type !== 'Checkpoints' && onChoose()}
      className={classNames(
        'absolute flex cursor-pointer flex-col justify-center gap-1 border bg-raised px-3',
        item.type === 'Machine' ? 'rounded-full' : 'rounded-card',
        isChosen ? 'border-accent' : 'border-line2',
        // Not yet whole: it cannot be started from.
        !isSettled && 'border-dashed',
      )}
      style={{ left: left(node), top: top(node), width: CARD.width, height: CARD.height }}
    >
      {item.type === 'Machine' ? (
        <MachineWords vm={item.vm} now={now} />
      ) : item.type === 'Checkpoints' ? (
        <>
          <span className="flex items-center gap-2 font-medium">
            <span aria-hidden className="size-2 rounded-full bg-ink2" />
            {en.tree.checkpoints(item.snapshots.length)}
          </span>
          <span className="truncate text-12 text-ink2">{formatSize(sum(item.snapshots))}</span>
        </>
      ) : (
        <>
          <span className="flex min-w-0 items-center gap-2">
            {kindOf(item.snapshot) === 'Named' ? (
              <Diamond aria-hidden size={11} className="shrink-0 fill-current text-ink2" />
            ) : (
              <span aria-hidden className="size-2 shrink-0 rounded-full bg-ink2" />
            )}
            <span className="truncate font-medium" title={item.snapshot.metadata.name}>
              {item.snapshot.metadata.name}
            </span>
          </span>
          {isSettled ? (
            <span className="truncate text-12 text-ink2">
              {en.timeline.facts(formatAge(item.snapshot.metadata.creationTimestamp, now), formatSize(item.snapshot.status?.sizeBytes))}
            </span>
          ) : (
            <SnapshotWords snapshot={item.snapshot} />
          )}
        </>
      )}
    </div>
  );
}

function MachineWords({ vm, now }: { readonly vm: VirtualMachine; readonly now: Date }): ReactElement {
  const { shape, tone, says } = displayStatus(vm, undefined, now);
  return (
    <span className="flex min-w-0 items-center gap-2">
      <StatusGlyph shape={shape} tone={tone} />
      <span className="truncate font-medium" title={vm.metadata.name}>
        {vm.metadata.name}
      </span>
      <span className={classNames(toneClass(tone), 'shrink-0 text-12')}>{en.machineSays[says]}</span>
    </span>
  );
}

const sum = (snapshots: readonly VirtualMachineSnapshot[]): number => snapshots.reduce((bytes, { status }) => bytes + (status?.sizeBytes ?? 0), 0);

/** What is chosen, and what one can do with it. */
function Story({
  item,
  snapshots,
  machines,
  canKeep,
  onOpen,
}: {
  readonly item: TreeItem;
  readonly snapshots: readonly VirtualMachineSnapshot[];
  readonly machines: readonly VirtualMachine[];
  readonly canKeep: (vm: VirtualMachine) => boolean;
  readonly onOpen: () => void;
}): ReactElement {
  switch (item.type) {
    case 'Machine':
      return (
        <div className="flex flex-col gap-2">
          <h2 className="text-13">{item.vm.metadata.name}</h2>
          <p className="text-ink2">{en.tree.goesOn(item.vm.metadata.name)}</p>
          <MachineLink vm={item.vm} />
        </div>
      );
    case 'Checkpoints':
      return (
        <div className="flex flex-col items-start gap-2">
          <h2 className="text-13">{en.tree.checkpoints(item.snapshots.length)}</h2>
          <p className="text-ink2">{formatSize(sum(item.snapshots))}</p>
          <Button size="Small" aria-label={en.tree.opens(item.snapshots.length)} onClick={onOpen}>
            {en.tree.open}
          </Button>
        </div>
      );
    case 'Snapshot':
      return <SnapshotStory key={item.snapshot.metadata.uid} snapshot={item.snapshot} snapshots={snapshots} machines={machines} canKeep={canKeep} />;
  }
}

function MachineLink({ vm }: { readonly vm: VirtualMachine }): ReactElement {
  const { namespace = '', name } = vm.metadata;
  return (
    <Link
      to="/machines/$namespace/$name/$tab"
      params={{ namespace, name, tab: 'screen' }}
      search={(previous) => ({ ns: previous.ns })}
      className="text-accent hover:underline"
    >
      {name}
    </Link>
  );
}

function SnapshotStory({
  snapshot,
  snapshots,
  machines,
  canKeep,
}: {
  readonly snapshot: VirtualMachineSnapshot;
  readonly snapshots: readonly VirtualMachineSnapshot[];
  readonly machines: readonly VirtualMachine[];
  readonly canKeep: (vm: VirtualMachine) => boolean;
}): ReactElement {
  const fork = useRestore();
  const [asked, setAsked] = useState<'Delete' | 'RollBack'>();
  const { metadata, spec, status } = snapshot;
  const says = snapshotStatus(snapshot);
  const isWhole = says.says === 'Verified';
  const vm = machines.find((one) => one.metadata.name === spec?.virtualMachine && one.metadata.namespace === metadata.namespace);
  const children = snapshots.filter((one) => one.status?.parent === metadata.name && one.metadata.namespace === metadata.namespace);
  const fields = en.tree.fields;
  const rows: readonly (readonly [string, ReactNode])[] = [
    [fields.kind, en.timeline.kinds[kindOf(snapshot)]],
    [fields.machine, vm ? <MachineLink key="machine" vm={vm} /> : spec?.virtualMachine],
    [fields.parent, status?.parent || en.tree.standsAlone],
    [fields.children, children.length === 0 ? en.none : children.map((child) => child.metadata.name).join(', ')],
    [fields.added, formatSize(status?.sizeBytes)],
    [fields.pause, status?.pauseMilliseconds === undefined ? en.none : en.snapshots.pauseShort(status.pauseMilliseconds)],
    [fields.layers, status?.layers?.length ?? en.none],
    [fields.digest, status?.digest ? <code key="digest" className="font-mono text-12 break-all">{status.digest.slice(0, 20)}</code> : en.none],
    [
      fields.taken,
      <Age key="taken" at={metadata.creationTimestamp} />,
    ],
  ];
  return (
    <div className="flex flex-col gap-3">
      <h2 className="text-13 break-all">{metadata.name}</h2>
      {!isWhole && <p className={toneClass(says.tone)}>{[en.snapshotSays[says.says], says.reason].filter(Boolean).join(', ')}</p>}
      {isWhole && (
        <div className="overflow-hidden rounded-control border border-line2 bg-glass">
          <StoredScreen snapshot={snapshot} className="h-auto w-full" />
        </div>
      )}
      <dl className="grid grid-cols-[80px_minmax(0,1fr)] gap-x-3 gap-y-1.5">
        {rows.map(([name, value]) => (
          <div key={name} className="contents">
            <dt className="text-ink2">{name}</dt>
            <dd className="min-w-0 break-words">{value}</dd>
          </div>
        ))}
      </dl>
      <div className="flex flex-wrap gap-2">
        <Button size="Small" icon={<GitFork aria-hidden size={13} />} disabled={!isWhole} onClick={() => fork(snapshot)}>
          {en.timeline.fork}
        </Button>
        {vm && (
          <Button size="Small" icon={<History aria-hidden size={13} />} disabled={!isWhole} onClick={() => setAsked('RollBack')}>
            {en.timeline.rollBack}
          </Button>
        )}
        <Button size="Small" look="Danger" icon={<Trash2 aria-hidden size={13} />} disabled={says.says === 'Terminating'} onClick={() => setAsked('Delete')}>
          {en.verbs.deleteNow}
        </Button>
      </div>
      <Suspense>
        {asked === 'Delete' && <DeleteSnapshotDialog snapshot={snapshot} onClose={() => setAsked(undefined)} />}
        {asked === 'RollBack' && vm && (
          <RollbackDialog vm={vm} snapshot={snapshot} snapshottable={canKeep(vm)} onClose={() => setAsked(undefined)} />
        )}
      </Suspense>
    </div>
  );
}
