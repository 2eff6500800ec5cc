import type { VirtualMachine, VirtualMachineSnapshot } from '@corral/contracts';
import { formatAge, formatSize, snapshotStatus } from '@corral/ui';
import { Link } from '@tanstack/react-router';
import { RotateCcw } from 'lucide-react';
import type { ReactElement, ReactNode } from 'react';
import { Age } from '../../app/age.tsx';
import { CopyButton } from '../../app/copy.tsx';
import { useNow } from '../../live/now.ts';
import { en } from '../../messages/en.ts';
import { Labels } from '../machines/machine-table.tsx';
import { MachineMemory } from '../memory/machine-memory.tsx';
import { Conditions } from './conditions.tsx';
import { Section } from './section.tsx';
import { newestFirst, SnapshotWords, useRestore } from '../snapshots/snapshot-table.tsx';

const SHOWN_SNAPSHOTS = 3;

/** The machine's whole story, beside whatever else is open. */
export function Inspector({
  vm,
  snapshots,
  sharers,
}: {
  readonly vm: VirtualMachine;
  readonly snapshots: readonly VirtualMachineSnapshot[];
  /** How many other machines hold the memory it shares. */
  readonly sharers: number;
}): ReactElement {
  return (
    <div className="divide-y divide-line">
      <MachineMemory key={vm.status?.incarnation} vm={vm} snapshots={snapshots} sharers={sharers} />
      {snapshots.length > 0 && <RecentSnapshots vm={vm} snapshots={snapshots} />}
      <Conditions
        conditions={vm.status?.conditions ?? []}
        restsByWish={(vm.spec?.powerState ?? 'Running') !== 'Running' || vm.status?.phase === 'Hibernated'}
      />
      <Details vm={vm} />
    </div>
  );
}

function RecentSnapshots({
  vm,
  snapshots,
}: {
  readonly vm: VirtualMachine;
  readonly snapshots: readonly VirtualMachineSnapshot[];
}): ReactElement {
  const now = useNow();
  const restore = useRestore();
  return (
    <Section
      title={en.snapshots.title}
      aside={
        <Link
          to="/machines/$namespace/$name/$tab"
          params={{ namespace: vm.metadata.namespace ?? '', name: vm.metadata.name, tab: 'snapshots' }}
          search={(previous) => ({ ns: previous.ns })}
          className="text-12 text-accent hover:underline"
        >
          {snapshots.length}
        </Link>
      }
    >
      <ul className="flex flex-col gap-2.5">
        {newestFirst(snapshots)
          .slice(0, SHOWN_SNAPSHOTS)
          .map((snapshot) => (
            <li key={snapshot.metadata.uid} className="flex items-center gap-2">
              <span className="flex min-w-0 flex-1 flex-col gap-0.5">
                <span className="truncate font-medium" title={snapshot.metadata.name}>
                  {snapshot.metadata.name}
                </span>
                <span className="flex gap-2 text-12 text-ink2">
                  {snapshotStatus(snapshot).says === 'Verified' ? (
                    <span className="truncate">
                      {[
                        en.ago(formatAge(snapshot.metadata.creationTimestamp, now)),
                        formatSize(snapshot.status?.sizeBytes),
                      ].join(', ')}
                    </span>
                  ) : (
                    <SnapshotWords snapshot={snapshot} />
                  )}
                </span>
              </span>
              {snapshotStatus(snapshot).says === 'Verified' && (
                <button
                  type="button"
                  aria-label={en.snapshots.restoreFrom(snapshot.metadata.name)}
                  title={en.snapshots.restoreFrom(snapshot.metadata.name)}
                  onClick={() => restore(snapshot)}
                  className="grid size-7 shrink-0 place-items-center rounded-control border border-line2 text-ink2 hover:bg-hover hover:text-ink"
                >
                  <RotateCcw aria-hidden size={13} />
                </button>
              )}
            </li>
          ))}
      </ul>
    </Section>
  );
}

/** Where it came from, and the way there. */
function sourceRow({ metadata: { namespace = '' }, spec }: VirtualMachine): readonly [string, ReactNode] {
  const { fields } = en.machine;
  const { image, snapshot, virtualMachine, pool } = spec?.source ?? {};
  const look = 'break-all text-accent hover:underline';
  if (snapshot !== undefined) {
    return [fields.snapshot, <Link key="source" to="/snapshots" search={(previous) => ({ ns: previous.ns, q: snapshot })} className={look}>{snapshot}</Link>];
  }
  if (virtualMachine !== undefined) {
    return [
      fields.machine,
      <Link key="source" to="/machines/$namespace/$name/$tab" params={{ namespace, name: virtualMachine, tab: 'screen' }} search={(previous) => ({ ns: previous.ns })} className={look}>
        {virtualMachine}
      </Link>,
    ];
  }
  if (pool !== undefined) return [fields.pool, <Link key="source" to="/pools" search={(previous) => ({ ns: previous.ns })} className={look}>{pool}</Link>];
  return [fields.image, <Link key="source" to="/images" search={(previous) => ({ ns: previous.ns })} className={look}>{image ?? en.none}</Link>];
}

function Details({ vm }: { readonly vm: VirtualMachine }): ReactElement {
  const now = useNow();
  const { spec, status, metadata } = vm;
  const fields = en.machine.fields;
  const rows: readonly (readonly [string, ReactNode])[] = [
    sourceRow(vm),
    [
      fields.node,
      status?.nodeName ? (
        <Link
          key="node"
          to="/nodes"
          search={(previous) => ({ ns: previous.ns })}
          className="text-accent hover:underline"
        >
          {status.nodeName}
        </Link>
      ) : (
        en.none
      ),
    ],
    [fields.incarnation, status?.incarnation ?? en.none],
    [
      fields.startedFrom,
      status?.startedFrom
        ? en.machine.startedFromName(
            en.machine.startedFrom[status.startedFrom.type],
            status.startedFrom.type === 'Boot' ? '' : status.startedFrom.name,
          )
        : en.none,
    ],
    [
      fields.startTime,
      status?.startMilliseconds === undefined ? en.none : en.machine.milliseconds(status.startMilliseconds),
    ],
    [fields.restartPolicy, spec?.restartPolicy ?? en.none],
    ...(status?.restartCount ? [[fields.restarts, status.restartCount] as const] : []),
    ...(status?.lastTermination
      ? [
          [
            fields.lastEnd,
            en.machine.ended(status.lastTermination.reason, formatAge(status.lastTermination.finishedAt, now)),
          ] as const,
        ]
      : []),
    [
      fields.v86,
      status?.v86Build ? (
        <code key="v86" className="break-all font-mono text-12">
          {status.v86Build.slice(0, 20)}
        </code>
      ) : (
        en.none
      ),
    ],
    [
      fields.created,
      <Age key="created" at={metadata.creationTimestamp} />,
    ],
    [
      fields.uid,
      <span key="uid" className="flex min-w-0 items-center gap-1">
        <code className="truncate font-mono text-12">{metadata.uid}</code>
        <CopyButton text={metadata.uid} />
      </span>,
    ],
    ...(metadata.labels && Object.keys(metadata.labels).length > 0
      ? [[fields.labels, <Labels key="labels" labels={metadata.labels} />] as const]
      : []),
  ];
  return (
    <Section title={en.machine.details}>
      <dl className="grid grid-cols-[96px_minmax(0,1fr)] gap-x-3 gap-y-2">
        {rows.map(([name, value]) => (
          <div key={name} className="contents">
            <dt className="text-ink2">{name}</dt>
            <dd className="min-w-0">{value}</dd>
          </div>
        ))}
      </dl>
    </Section>
  );
}
