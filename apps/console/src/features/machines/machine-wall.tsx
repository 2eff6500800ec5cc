import { apiPath, findCondition, type Node } from '@corral/contracts';
import { classNames, formatSize, splitSize, StatusGlyph, toneClass } from '@corral/ui';
import { Link } from '@tanstack/react-router';
import { useMemo, useRef, type ReactElement, type ReactNode } from 'react';
import { NODES } from '../../api/resources.ts';
import { useKeys } from '../../app/keys.ts';
import { useCollection } from '../../live/live.ts';
import { useNow } from '../../live/now.ts';
import { en } from '../../messages/en.ts';
import { Thumbnail } from '../machine/thumbnail.tsx';
import { fleetFigures } from './fleet-figures.ts';
import type { MachineRow } from './machine-rows.ts';
import { showsScreen } from './machine-verbs.ts';
import { reasonText, StatusChip } from './status-words.tsx';

/** The fleet as pictures: what is everyone doing, and is anything wrong. */
export function MachineWall({
  rows,
  onReading,
}: {
  readonly rows: readonly MachineRow[];
  readonly onReading: (reading: boolean) => void;
}): ReactElement {
  const grid = useRef<HTMLUListElement>(null);
  const step = (by: number): void => {
    const tiles = [...(grid.current?.querySelectorAll<HTMLElement>('a') ?? [])];
    const at = tiles.indexOf(document.activeElement as HTMLElement);
    tiles[Math.max(0, Math.min(tiles.length - 1, at + by))]?.focus();
  };
  useKeys({ j: () => step(1), k: () => step(-1), ArrowRight: () => step(1), ArrowLeft: () => step(-1) });
  return (
    <div
      className="min-h-0 flex-1 overflow-y-auto px-5 pb-6"
      onPointerEnter={() => onReading(true)}
      onPointerLeave={() => onReading(false)}
    >
      <ul
        ref={grid}
        aria-label={en.machines.title}
        className="grid grid-cols-[repeat(auto-fill,minmax(250px,1fr))] gap-4"
      >
        {rows.map((row) => (
          <Tile key={row.uid} row={row} />
        ))}
      </ul>
    </div>
  );
}

function Tile({ row: { vm, status, source, nodeName, heldBytes } }: { readonly row: MachineRow }): ReactElement {
  const now = useNow();
  const reason = reasonText(status, now);
  const calm = status.says === 'Running';
  return (
    <li>
      <Link
        to="/machines/$namespace/$name/$tab"
        params={{ namespace: vm.metadata.namespace ?? '', name: vm.metadata.name, tab: 'screen' }}
        search={(previous) => ({ ns: previous.ns })}
        className={classNames(
          'block overflow-hidden rounded-card border bg-panel transition-colors duration-80 hover:border-edge',
          status.tone === 'Bad' ? 'border-bad/70' : 'border-line2',
        )}
      >
        <span className="relative block aspect-video border-b border-line bg-glass">
          <Thumbnail
            vm={vm}
            live={showsScreen(status)}
            once={status.says === 'Hibernated'}
            className={classNames(
              'h-full w-full !rounded-none !border-0',
              status.says === 'Paused' && 'opacity-40',
              status.says === 'Hibernated' && 'opacity-40 grayscale',
            )}
          />
          {!calm && (
            <span className="absolute inset-0 grid place-items-center">
              <span className="rounded-control bg-panel/90">
                <StatusChip status={status} label={en.machineSays[status.says]} />
              </span>
            </span>
          )}
        </span>
        <span className="flex flex-col gap-0.5 px-3 py-2.5">
          <span className="flex items-center gap-2.5">
            <StatusGlyph shape={status.shape} tone={status.tone} size={11} />
            <span className="min-w-0 flex-1 truncate font-medium">{vm.metadata.name}</span>
            {heldBytes !== undefined && calm && (
              <span className="shrink-0 text-12 text-ink2">{en.machines.held(formatSize(heldBytes))}</span>
            )}
            <span className="sr-only">{en.machineSays[status.says]}</span>
          </span>
          <span className="flex justify-between gap-3 text-12 text-ink2">
            <span className={classNames('truncate', status.needsAttention && toneClass(status.tone))}>
              {reason || source}
            </span>
            <span className="shrink-0">{nodeName}</span>
          </span>
        </span>
      </Link>
    </li>
  );
}

/** The fleet in four numbers. */
export function FleetSummary({ rows }: { readonly rows: readonly MachineRow[] }): ReactElement {
  const figures = useMemo(() => fleetFigures(rows), [rows]);
  const nodes = useCollection<Node>(apiPath(NODES)).items;
  const ready = nodes.filter(({ status }) => findCondition(status?.conditions, 'Ready')?.status === 'True').length;
  const guest = splitSize(figures.guestBytes);
  return (
    <section aria-label={en.machines.summary} className="flex flex-wrap gap-x-8 gap-y-3 border-b border-line px-5 py-4">
      <Figure
        value={figures.machines}
        caption={
          figures.machines === 1 ? en.machines.runningOne(figures.running) : en.machines.running(figures.running)
        }
      />
      <Figure
        value={`${guest.value} ${guest.unit}`}
        caption={
          figures.heldBytes === undefined
            ? en.machines.guestMemoryOnly
            : en.machines.guestMemory(formatSize(figures.heldBytes))
        }
      />
      {figures.startMs !== undefined && (
        <Figure
          value={en.machines.seconds((figures.startMs / 1000).toPrecision(2))}
          caption={en.machines.startToReady}
        />
      )}
      <Figure value={en.machines.fraction(ready, nodes.length)} caption={en.machines.nodesReady} />
    </section>
  );
}

function Figure({ value, caption }: { readonly value: ReactNode; readonly caption: string }): ReactElement {
  return (
    <p className="flex flex-col gap-0.5 border-l border-line pl-8 first:border-0 first:pl-0">
      <span className="text-22 leading-tight font-strong tracking-tight">{value}</span>
      <span className="text-12 text-ink2">{caption}</span>
    </p>
  );
}
