import { findCondition, type VirtualMachine, type VirtualMachinePool } from '@corral/contracts';
import { classNames, formatSize, Skeleton, StatusGlyph, type StatusShape, type StatusTone } from '@corral/ui';
import { Link } from '@tanstack/react-router';
import { Flame } from 'lucide-react';
import type { ReactElement } from 'react';
import { createCommand } from '../../api/commands.ts';
import { MACHINES, POOLS } from '../../api/resources.ts';
import { CommandBlock } from '../../app/command-block.tsx';
import { useCollectionPath } from '../../app/namespace.ts';
import { EmptyState, Page } from '../../app/page.tsx';
import { ListTrouble } from '../../app/trouble.tsx';
import { useCollection } from '../../live/live.ts';
import { en } from '../../messages/en.ts';
import { heldByWaiting, slotsOf, type Slot, type SlotState } from './pool-slots.ts';

const EXAMPLE = {
  metadata: { name: 'ci', namespace: 'default' },
  spec: { warm: 2, maximum: 10, template: { spec: { source: { image: 'linux-minimal' } } } },
};
/** More free slots than this are told and not drawn. */
const DRAWN_FREE = 40;

export function PoolsPage(): ReactElement {
  const pools = useCollection<VirtualMachinePool>(useCollectionPath(POOLS));
  const machines = useCollection<VirtualMachine>(useCollectionPath(MACHINES)).items;
  const sorted = [...pools.items].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  return (
    <Page title={en.pools.title}>
      <div className="min-h-0 flex-1 overflow-y-auto px-5 py-4 max-phone:px-4">
        {pools.failure && <ListTrouble what={en.pools.what} failure={pools.failure} onRetry={pools.retry} />}
        {!pools.loaded ? (
          !pools.failure && <Skeleton className="h-48 w-full" />
        ) : sorted.length === 0 ? (
          <EmptyState icon={<Flame size={26} />} title={en.pools.none} hint={en.pools.noneHint}>
            <CommandBlock className="mt-3 w-full text-left" command={createCommand(POOLS, EXAMPLE, location.origin)} />
          </EmptyState>
        ) : (
          <ul aria-label={en.pools.list} className="grid grid-cols-[repeat(auto-fill,minmax(min(100%,460px),1fr))] gap-4">
            {sorted.map((pool) => (
              <PoolCard key={pool.metadata.uid} pool={pool} machines={machines} />
            ))}
          </ul>
        )}
      </div>
    </Page>
  );
}

const keyOf = ({ metadata }: VirtualMachinePool): string => `${metadata.namespace ?? ''}/${metadata.name}`;

function PoolCard({ pool, machines }: { readonly pool: VirtualMachinePool; readonly machines: readonly VirtualMachine[] }): ReactElement {
  const { metadata, spec, status } = pool;
  const { warm = 0, maximum = 0, template } = spec ?? {};
  const { taken, free } = slotsOf(pool, machines);
  const count = (state: SlotState): number => taken.filter((slot) => slot.state === state).length;
  const ready = findCondition(status?.conditions, 'Ready');
  const capped = findCondition(status?.conditions, 'AtMaximum')?.status === 'True';
  const { image, snapshot, virtualMachine } = template?.spec.source ?? {};
  const held = heldByWaiting(pool, machines);
  const facts: readonly (readonly [string, string])[] = [
    [en.pools.fields.source, image ?? snapshot ?? virtualMachine ?? en.none],
    [en.pools.fields.memory, template?.spec.memory ?? en.none],
    [en.pools.fields.held, formatSize(held)],
    [en.pools.fields.cold, en.pools.cold(status?.coldFallbacks ?? 0)],
  ];
  return (
    <li className="flex flex-col gap-4 rounded-card border border-line2 bg-panel p-4">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <h2 className="text-15">{metadata.name}</h2>
        <span className="flex items-center gap-1.5 text-12">
          <StatusGlyph shape={ready?.status === 'True' ? 'Disc' : 'Triangle'} tone={ready?.status === 'True' ? 'Good' : 'Attention'} size={10} />
          {ready?.status === 'True' ? en.pools.ready : (ready?.reason ?? en.pools.notReady)}
          {capped && `, ${en.pools.atMaximum}`}
        </span>
        <span className="min-w-0 flex-1 truncate text-right text-12 text-ink2">{metadata.namespace}</span>
      </div>
      {ready && ready.status !== 'True' && ready.message !== '' && <p className="text-12 text-ink2">{ready.message}</p>}
      <p>{en.pools.counts(count('warm'), warm, count('claimed'), maximum)}</p>
      <ul aria-label={en.pools.slots(metadata.name)} className="flex flex-wrap gap-1.5">
        {taken.map((slot) => (
          <TakenSlot key={slot.uid} slot={slot} namespace={metadata.namespace ?? ''} />
        ))}
        {free > 0 && <li className="sr-only">{en.pools.freeSlots(free)}</li>}
        {Array.from({ length: Math.min(free, DRAWN_FREE) }, (_, index) => (
          <li key={`free-${index}`} aria-hidden title={en.pools.free} className="h-6 w-8 rounded-tag border border-dashed border-line2" />
        ))}
        {free > DRAWN_FREE && (
          <li aria-hidden className="flex h-6 items-center text-12 text-ink2">
            {en.pools.freeSlots(free)}
          </li>
        )}
      </ul>
      <dl className="grid grid-cols-[110px_minmax(0,1fr)] gap-x-3 gap-y-1.5 border-t border-line pt-3 text-12">
        {facts.map(([name, value]) => (
          <div key={name} className="contents">
            <dt className="text-ink2">{name}</dt>
            <dd className="truncate" title={value}>
              {value}
            </dd>
          </div>
        ))}
      </dl>
      <CommandBlock
        command={createCommand(
          MACHINES,
          { metadata: { name: 'mine', namespace: metadata.namespace ?? 'default' }, spec: { source: { pool: metadata.name } } },
          location.origin,
        )}
      />
    </li>
  );
}

const LOOKS: Readonly<Record<SlotState, { readonly shape: StatusShape; readonly tone: StatusTone }>> = {
  warm: { shape: 'Disc', tone: 'Good' },
  starting: { shape: 'Arc', tone: 'Motion' },
  failed: { shape: 'Triangle', tone: 'Bad' },
  claimed: { shape: 'Square', tone: 'Asleep' },
};

function TakenSlot({ slot: { name, state }, namespace }: { readonly slot: Slot; readonly namespace: string }): ReactElement {
  const { shape, tone } = LOOKS[state];
  return (
    <li>
      <Link
        to="/machines/$namespace/$name/$tab"
        params={{ namespace, name, tab: 'screen' }}
        search={(previous) => ({ ns: previous.ns })}
        title={`${name}: ${en.pools.slot[state]}`}
        className={classNames('flex h-6 items-center gap-1.5 rounded-tag border border-line2 px-2 text-12 hover:bg-hover', state === 'claimed' && 'text-ink2')}
      >
        <StatusGlyph shape={shape} tone={tone} size={10} />
        {state === 'claimed' ? name : en.pools.slot[state]}
        <span className="sr-only">{`${name}: ${en.pools.slot[state]}`}</span>
      </Link>
    </li>
  );
}
