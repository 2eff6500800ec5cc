import { apiPath, parseBytes, type Node, type VirtualMachine } from '@corral/contracts';
import { Button, classNames, formatAge, formatSize, Meter, nodeStatus, Skeleton, StatusGlyph } from '@corral/ui';
import { Link } from '@tanstack/react-router';
import { Server } from 'lucide-react';
import { useState, type ReactElement } from 'react';
import { asRefusal, type Refusal } from '../../api/refusal.ts';
import { MACHINES, NODES, setCordoned } from '../../api/resources.ts';
import { EmptyState, Page } from '../../app/page.tsx';
import { ListTrouble, Trouble } from '../../app/trouble.tsx';
import { acceptWrite, useCollection } from '../../live/live.ts';
import { useNow } from '../../live/now.ts';
import { en } from '../../messages/en.ts';
import { memory as words } from '../../messages/memory.en.ts';
import { conditionLook } from '../machine/condition-look.ts';
import { MemoryBar } from '../memory/memory-bar.tsx';
import { Paging } from '../memory/paging.tsx';
import { rowOf } from '../machines/machine-rows.ts';
import { StatusChip } from '../machines/status-words.tsx';
import { nodeMemoryOf } from './node-memory.ts';

const SHOWN_MACHINES = 24;

export function NodesPage(): ReactElement {
  const nodes = useCollection<Node>(apiPath(NODES));
  // What is promised on a node is promised to machines of every namespace.
  const machines = useCollection<VirtualMachine>(apiPath(MACHINES)).items;
  const sorted = [...nodes.items].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  return (
    <Page title={en.nodes.title} failed={sorted.filter((node) => nodeStatus(node).needsAttention).length}>
      <div className="min-h-0 flex-1 overflow-y-auto px-5 py-4 max-phone:px-4">
        {nodes.failure && <ListTrouble what={en.nodes.what} failure={nodes.failure} onRetry={nodes.retry} />}
        {!nodes.loaded ? (
          !nodes.failure && <Skeleton className="h-48 w-full" />
        ) : sorted.length === 0 ? (
          <EmptyState icon={<Server size={26} />} title={en.nodes.none} hint={en.nodes.noneHint} />
        ) : (
          <ul
            aria-label={en.nodes.list}
            className="grid grid-cols-[repeat(auto-fill,minmax(min(100%,460px),1fr))] gap-4"
          >
            {sorted.map((node) => (
              <NodeCard
                key={node.metadata.uid}
                node={node}
                machines={machines.filter(({ spec }) => spec?.nodeName === node.metadata.name)}
              />
            ))}
          </ul>
        )}
      </div>
    </Page>
  );
}

function NodeCard({
  node,
  machines,
}: {
  readonly node: Node;
  readonly machines: readonly VirtualMachine[];
}): ReactElement {
  const now = useNow();
  const [refusal, setRefusal] = useState<Refusal>();
  const status = nodeStatus(node);
  const cordoned = node.spec?.unschedulable ?? false;
  const { nodeInfo, corral, allocatable, conditions = [] } = node.status ?? {};
  const allowed = parseBytes(allocatable?.['memory'] ?? '') ?? 0;
  const { promisedBytes: promised, figures } = nodeMemoryOf(machines);
  // What is shared is held once for all who share it.
  const savedBytes = figures.places.shared - (corral?.bases?.bytes ?? 0);
  const heard = conditions.find(({ type }) => type === 'Ready');
  const facts: readonly (readonly [string, string | undefined])[] = [
    [en.nodes.fields.v86, corral?.v86Build.slice(0, 20)],
    [en.nodes.fields.mode, corral && en.nodes.mode(corral.memoryMode, corral.memoryModeReason)],
    [en.nodes.fields.bases, corral?.bases && en.nodes.bases(corral.bases.count, formatSize(corral.bases.bytes), corral.bases.users)],
    [en.nodes.fields.version, nodeInfo?.kubeletVersion],
    [en.nodes.fields.kernel, nodeInfo && `${nodeInfo.osImage} ${nodeInfo.kernelVersion}`],
    [en.nodes.fields.images, corral?.images?.length.toString()],
  ];
  return (
    <li className="flex flex-col gap-4 rounded-card border border-line2 bg-panel p-4">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <h2 className="text-15">{node.metadata.name}</h2>
        <StatusChip status={status} label={en.nodeSays[status.says]} />
        <span className="min-w-0 flex-1 truncate text-12 text-ink2">
          {[
            status.reason,
            cordoned ? en.nodes.cordoned : undefined,
            heard && en.nodes.heard(formatAge(heard.lastHeartbeatTime ?? heard.lastTransitionTime, now)),
          ]
            .filter(Boolean)
            .join(', ')}
        </span>
        <Button
          size="Small"
          onClick={() => {
            setRefusal(undefined);
            void setCordoned(node, !cordoned).then(acceptWrite, (error: unknown) => setRefusal(asRefusal(error)));
          }}
        >
          {cordoned ? en.nodes.uncordon : en.nodes.cordon}
        </Button>
      </div>
      {refusal && <Trouble title={en.nodes.refused} detail={refusal.message} code={refusal.reason} />}
      <div className="flex flex-col gap-2">
        <p className="flex items-baseline justify-between gap-3">
          <span className="text-ink2">{en.nodes.promised}</span>
          <span>{en.machines.of(formatSize(promised), formatSize(allowed))}</span>
        </p>
        <Meter
          label={en.nodes.asked(formatSize(promised), formatSize(allowed))}
          total={Math.max(allowed, promised)}
          parts={[{ label: en.nodes.promised, value: promised, className: 'bg-memory-shared' }]}
          className="h-2.5"
        />
      </div>
      {figures.heldBytes > 0 && (
        <div className="flex flex-col gap-2">
          <h3 className="text-12 font-medium text-ink2">{words.ofMachines}</h3>
          <MemoryBar figures={figures} mark={{ bytes: corral?.memory?.budgetBytes ?? allowed, label: words.budget }} />
          <p className="text-12 text-ink2">
            {en.nodes.held(formatSize(figures.heldBytes), formatSize(figures.places.swapped))} {savedBytes > 0 && words.saved(formatSize(savedBytes))}
          </p>
          <Paging figures={figures} />
        </div>
      )}
      <div className="flex flex-col gap-2">
        <h3 className="text-12 font-medium text-ink2">{en.nodes.machines(machines.length)}</h3>
        <ul className="flex flex-wrap gap-1.5">
          {machines.slice(0, SHOWN_MACHINES).map((vm) => {
            const row = rowOf(vm, new Map([[node.metadata.name, node]]), undefined, now);
            return (
              <li key={row.uid}>
                <Link
                  to="/machines/$namespace/$name/$tab"
                  params={{ namespace: vm.metadata.namespace ?? '', name: vm.metadata.name, tab: 'screen' }}
                  search={(previous) => ({ ns: previous.ns })}
                  title={en.machineSays[row.status.says]}
                  className="flex h-6 items-center gap-1.5 rounded-tag border border-line2 px-2 text-12 hover:bg-hover"
                >
                  <StatusGlyph shape={row.status.shape} tone={row.status.tone} size={10} />
                  {vm.metadata.name}
                </Link>
              </li>
            );
          })}
        </ul>
      </div>
      <ul aria-label={en.machine.conditions} className="flex flex-wrap gap-x-4 gap-y-1.5 text-12">
        {conditions.map((condition) => {
          const { shape, tone } = conditionLook(condition);
          return (
            <li key={condition.type} className={classNames('flex items-baseline gap-1.5 text-ink2', shape !== 'Check' && 'w-full')} title={condition.message}>
              <StatusGlyph shape={shape === 'Check' ? 'Disc' : shape} tone={tone} size={9} />
              <span className="min-w-0 break-words">
                {en.nodes.condition(condition.type, condition.status)}
                {shape !== 'Check' && <span className="text-ink">{en.nodes.because(condition.reason, condition.message)}</span>}
              </span>
            </li>
          );
        })}
      </ul>
      <dl className="grid grid-cols-[96px_minmax(0,1fr)] gap-x-3 gap-y-1.5 border-t border-line pt-3 text-12">
        {facts.map(([name, value]) => (
          <div key={name} className="contents">
            <dt className="text-ink2">{name}</dt>
            <dd className="min-w-0 break-words">
              {value ?? en.none}
            </dd>
          </div>
        ))}
      </dl>
    </li>
  );
}
