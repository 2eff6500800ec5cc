import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { aCluster, aMachine, aNode, GIB, MIB, placed, ROOM } from '../test/worlds.ts';
import type { ClusterView, MachineRequest } from './machine.ts';
import { planPreemption } from './preemption.ts';
import { BIN_PACK, SPREAD, type Profile } from './profiles.ts';
import { explain, schedule } from './schedule.ts';

/** docs/scheduling.md shows these rows: what is documented is what is decided. */
interface Example {
  readonly machine: string;
  readonly nodes: string;
  readonly decision: string;
  readonly wish?: Partial<MachineRequest>;
  readonly cluster: ClusterView;
  readonly profile?: Profile;
}

const full = (name: string) => aNode(name, { allocatable: { memoryBytes: 100 * MIB, machines: 10 } });
const inZone = (name: string, zone: string) => aNode(name, { labels: { zone } });
const used = (gib: number) => ({ requested: { memoryBytes: gib * GIB, machines: 1 } });
const evenly: Partial<MachineRequest> = {
  labels: { app: 'web' },
  spreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: { matchLabels: { app: 'web' } } }],
};
const web = (key: string, node: string) => placed(key, node, { labels: { app: 'web' }, chargedBytes: 0 });

const EXAMPLES: readonly Example[] = [
  { machine: '128Mi', nodes: '`a` has 3 of 4 GiB free, `b` 4 of 4', decision: '`b`', cluster: aCluster([aNode('a', used(1)), aNode('b')]) },
  { machine: '128Mi, `bin-pack-scheduler`', nodes: 'the same', decision: '`a`', profile: BIN_PACK, cluster: aCluster([aNode('a', used(1)), aNode('b')]) },
  { machine: 'image `tiny`', nodes: 'equal; `b` holds the image', decision: '`b`', wish: { image: 'tiny' }, cluster: aCluster([aNode('a'), aNode('b', { images: new Set(['tiny']) })]) },
  {
    machine: 'tolerates `ci`', nodes: '`a` is empty; `b` has 2 of 4 GiB free and the preferred label `disk`', decision: '`b`',
    wish: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, preference: { matchExpressions: [{ key: 'disk', operator: 'Exists' }] } }] }, tolerations: [{ key: 'ci', operator: 'Exists' }] },
    cluster: aCluster([aNode('a'), aNode('b', { labels: { disk: 'ssd' }, taints: [{ key: 'ci', effect: 'NoSchedule' }], ...used(2) })]),
  },
  { machine: 'spread over `zone`, maxSkew 1', nodes: 'zone x holds 1 of its kind, zone y none', decision: 'zone y', wish: evenly, cluster: aCluster([inZone('zone x', 'x'), inZone('zone y', 'y')], [web('1', 'zone x')]) },
  { machine: '128Mi', nodes: '3 cordoned, 2 full', decision: '`0/5 nodes: 3 cordoned, 2 insufficient memory`', cluster: aCluster([...['a', 'b', 'c'].map((name) => aNode(name, { cordoned: true })), full('d'), full('e')]) },
  {
    machine: 'snapshot of v86 build b2', nodes: '2 of build b1, 1 of b2 that is tainted `ci`', decision: '`0/3 nodes: 2 with another v86 build than the snapshot, 1 tainted ci`', wish: { v86Build: 'b2' },
    cluster: aCluster([aNode('a'), aNode('b'), aNode('c', { v86Build: 'b2', taints: [{ key: 'ci', effect: 'NoSchedule' }] })]),
  },
  {
    machine: 'priority 10', nodes: '`a` is full of priority 5, `b` of priority 1', decision: 'the one on `b` makes room', wish: { priority: 10 },
    cluster: aCluster([full('a'), full('b')].map((node) => ({ ...node, allocatable: { memoryBytes: ROOM, machines: 1 } })), [placed('p5', 'a', { priority: 5 }), placed('p1', 'b', { priority: 1 })]),
  },
];

function decide({ wish = {}, cluster, profile = SPREAD }: Example): string {
  const machine = aMachine(wish);
  const placement = schedule(machine, cluster, profile);
  if (placement.outcome === 'Placed') return placement.nodeName.startsWith('zone') ? placement.nodeName : `\`${placement.nodeName}\``;
  const preemption = planPreemption(machine, cluster, placement.rejections, [], profile);
  return preemption ? `the one on \`${preemption.nodeName}\` makes room` : `\`${explain(placement.rejections)}\``;
}

describe('the worked examples of docs/scheduling.md', () => {
  const text = readFileSync(join(import.meta.dirname, '../../../docs/scheduling.md'), 'utf8');

  it.each(EXAMPLES.map((example) => [`${example.machine} · ${example.nodes}`, example] as const))('%s', (_title, example) => {
    expect(decide(example)).toBe(example.decision);
    expect(text).toContain(`| ${example.machine} | ${example.nodes} | ${example.decision} |`);
  });

  it('are all there are', () => {
    const rows = text.split('## Worked examples')[1]?.split('\n## ')[0]?.split('\n').filter((line) => line.startsWith('|')) ?? [];
    expect(rows.length - 2).toBe(EXAMPLES.length);
  });
});
