/**
 * `npm run bench:scheduler`: what a decision costs by number of nodes, machines and wishes, in the pure core; and bindings a
 * second, from machines that wait to bindings that are durable in PostgreSQL, by a scheduler process of its own. The load
 * and the servers share this machine's cores.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { HttpObjectClient } from '@corral/client';
import { findCondition, namespaces, nodes, virtualMachineImages, virtualMachines, type KindDefinition, type Node, type NodeStatus, type VirtualMachine, type VirtualMachineImageSpec, type VirtualMachineSpec } from '@corral/contracts';
import { Cluster, machineRequest, planPreemption, schedule, type MachineRequest } from '@corral/scheduling';
import { count, programOptions, someOf, text } from '@corral/testing';
import getPort from 'get-port';
import { startOwnStack } from './api/own-stack.ts';

const options = programOptions('npm run bench:scheduler', {
  only: someOf(['core', 'bind'], 'what is measured'),
  nodes: count(1000, 'nodes'),
  machines: count(20_000, 'machines in the cluster while the core decides'),
  bindings: count(3000, 'machines bound through PostgreSQL'),
  output: text('FILE', 'where the JSON goes (benchmarks/results/<date>-scheduler.json)'),
});

const CREATED = '2026-01-01T00:00:00Z';
const READY = { type: 'Ready', status: 'True' as const, reason: 'AgentReady', message: '', lastTransitionTime: CREATED };
const ZONES = 10;
const nodeName = (index: number): string => `node-${String(index).padStart(5, '0')}`;
const labelsOf = (index: number) => ({ 'kubernetes.io/hostname': nodeName(index), 'topology.kubernetes.io/zone': `zone-${index % ZONES}`, pool: index % 4 === 0 ? 'large' : 'small' });
const nodeStatus = (machines: number): NodeStatus => ({
  capacity: { memory: '64Gi', 'corral.dev/machines': String(machines) }, allocatable: { memory: '64Gi', 'corral.dev/machines': String(machines) }, conditions: [READY],
  corral: { dataPlaneUrl: 'http://127.0.0.1:9', v86Build: 'bench', memoryMode: 'Copy' },
});

const aNode = (index: number, machines: number): Node => ({
  apiVersion: 'v1', kind: 'Node', spec: index % 7 === 3 ? { taints: [{ key: 'dedicated', value: 'ci', effect: 'NoSchedule' }] } : {}, status: nodeStatus(machines),
  metadata: { name: nodeName(index), uid: nodeName(index), resourceVersion: '1', generation: 1, creationTimestamp: CREATED, labels: labelsOf(index) },
});
const aMachine = (index: number, spec: Partial<VirtualMachineSpec> = {}): VirtualMachine => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachine',
  metadata: { name: `vm-${index}`, namespace: `tenant-${index % 20}`, uid: `vm-${index}`, resourceVersion: '1', generation: 1, creationTimestamp: CREATED, labels: { app: `app-${index % 5}` } },
  spec: { source: { image: 'bench' }, memory: '128Mi', powerState: 'Running', restartPolicy: 'Always', bootPolicy: 'Golden', nodeSelector: {}, ...spec },
});

function aCluster(nodeCount: number, machineCount: number, roomPerNode: number): Cluster {
  const cluster = new Cluster();
  for (let index = 0; index < machineCount; index += 1) {
    const vm = aMachine(index, { nodeName: nodeName(index % nodeCount) });
    cluster.updateMachine(`tenant-${index % 20}/vm-${index}`, { ...vm, status: { phase: 'Running', incarnation: 1 } });
  }
  for (let index = 0; index < nodeCount; index += 1) cluster.updateNode(nodeName(index), aNode(index, roomPerNode));
  return cluster;
}

const WISHES: Readonly<Record<string, Partial<VirtualMachineSpec>>> = {
  'no wishes': {},
  'selector, toleration and affinity': {
    nodeSelector: { pool: 'small' },
    tolerations: [{ key: 'dedicated', operator: 'Exists' }],
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'topology.kubernetes.io/zone', operator: 'NotIn', values: ['zone-0', 'zone-1'] }] }] },
        preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 10, preference: { matchExpressions: [{ key: 'topology.kubernetes.io/zone', operator: 'In', values: ['zone-5'] }] } }],
      },
    },
  },
  'spread over zones': { topologySpreadConstraints: [{ maxSkew: 5, topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: { matchLabels: { app: 'app-1' } } }] },
};

interface Figure {
  readonly figure: string;
  readonly nodes: number;
  readonly machines: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
}
const figures: Figure[] = [];

/** Decides on many machines one after the other, each counted in the next. */
function measure(figure: string, nodeCount: number, machineCount: number, runs: number, decide: (run: number) => void): void {
  for (let run = 0; run < 50; run += 1) decide(-1 - run);
  const samples: number[] = [];
  const startedAt = performance.now();
  for (let run = 0; run < runs; run += 1) {
    const at = performance.now();
    decide(run);
    samples.push(performance.now() - at);
  }
  const perSecond = (runs / (performance.now() - startedAt)) * 1000;
  samples.sort((a, b) => a - b);
  const at = (part: number): number => Number((samples[Math.min(samples.length - 1, Math.floor(part * samples.length))] ?? NaN).toFixed(4));
  figures.push({ figure, nodes: nodeCount, machines: machineCount, p50Ms: at(0.5), p99Ms: at(0.99), perSecond: Math.round(perSecond) });
  console.log(`  ${figure}, ${nodeCount} nodes, ${machineCount} machines: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ${Math.round(perSecond)}/s`);
}

function measureCore(nodeCount: number, machineCount: number): void {
  const perNode = machineCount / nodeCount;
  for (const [name, spec] of Object.entries(WISHES)) {
    const cluster = aCluster(nodeCount, machineCount, Math.ceil(perNode) + 1000);
    measure(`decision: ${name}`, nodeCount, machineCount, 1000, (run) => {
      const request: MachineRequest = { ...machineRequest(aMachine(machineCount + run + 1000, spec), { image: 'bench' }), labels: { app: 'app-1' } };
      const placement = schedule(request, cluster);
      if (placement.outcome === 'Unschedulable') throw new Error('it should have found a place');
      cluster.assume(request, placement.nodeName);
    });
  }
  const full = aCluster(nodeCount, machineCount, Math.floor(perNode));
  const important = machineRequest(aMachine(-1, { priority: 10 }));
  measure('rejection: every node is full', nodeCount, machineCount, 500, () => {
    if (schedule(important, full).outcome === 'Placed') throw new Error('there should be no place');
  });
  measure('rejection and whose place to take', nodeCount, machineCount, 100, () => {
    const placement = schedule(important, full);
    if (placement.outcome === 'Placed' || planPreemption(important, full, placement.rejections)?.victims.length !== 1) throw new Error('one should make room');
  });
}

/** From machines that wait to the last binding, as a watcher of the API sees it. */
async function measureBindings(nodeCount: number, count: number): Promise<Record<string, unknown>> {
  const stack = await startOwnStack({ profile: false, env: { CORRAL_ROLES: 'api' } });
  try {
    const client = new HttpObjectClient({ baseUrl: stack.target.url, token: stack.target.token });
    await client.create(namespaces as KindDefinition, { metadata: { name: 'default' } });
    const image = await client.create(virtualMachineImages, { metadata: { name: 'bench' }, spec: { kernel: { url: `artifact:${'0'.repeat(64)}` }, memory: '128Mi' } as VirtualMachineImageSpec });
    await client.replaceStatus(virtualMachineImages, { ...image, status: { conditions: [{ ...READY, reason: 'Fetched' }] } });
    await inParallel(nodeCount, async (index) => {
      const node = await client.create(nodes, { metadata: { name: nodeName(index), labels: labelsOf(index) }, spec: {} });
      await client.replaceStatus(nodes, { ...node, status: nodeStatus(100) });
    });
    await inParallel(count, (index) => client.create(virtualMachines, { metadata: { name: `vm-${index}`, namespace: 'default' }, spec: { source: { image: 'bench' }, memory: '128Mi' } as VirtualMachineSpec }));
    console.log(`  ${nodeCount} nodes and ${count} machines are there; the scheduler starts`);

    const { resourceVersion } = await client.list(virtualMachines);
    const ended = new AbortController();
    const scheduler = spawn(process.execPath, ['apps/api/dist/main.js'], { stdio: ['pipe', 'inherit', 'inherit'], env: { ...stack.env, CORRAL_ROLES: 'scheduler', CORRAL_PORT: String(await getPort()) } });
    let [first, last, bound] = [0, 0, 0];
    const perNode = new Map<string, number>();
    for await (const { object } of client.watch(virtualMachines, { resourceVersion, signal: ended.signal })) {
      const name = object.spec?.nodeName;
      if (name === undefined || findCondition(object.status?.conditions, 'Scheduled')?.status !== 'True') continue;
      first ||= performance.now();
      last = performance.now();
      bound += 1;
      perNode.set(name, (perNode.get(name) ?? 0) + 1);
      if (bound === count) break;
    }
    ended.abort();
    const exited = new Promise((resolve) => scheduler.once('exit', resolve));
    scheduler.stdin?.end();
    await exited;
    const perSecond = Math.round((count / (last - first)) * 1000);
    const most = Math.max(...perNode.values());
    console.log(`  ${count} bindings in ${((last - first) / 1000).toFixed(2)} s: ${perSecond}/s (bar: 500/s); at most ${most} on one node`);
    return { nodes: nodeCount, bindings: count, seconds: Number(((last - first) / 1000).toFixed(2)), perSecond, bar: perSecond >= 500 ? 'met (>= 500/s)' : 'missed (>= 500/s)', mostOnOneNode: most, durability: stack.durability };
  } finally {
    await stack.stop();
  }
}

async function inParallel(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: 32 }, async () => {
    for (let index = (next += 1) - 1; index < count; index = (next += 1) - 1) await work(index);
  }));
}

const wanted = options.only;
const [nodeCount, machineCount] = [options.nodes, options.machines];
if (wanted.includes('core')) {
  console.log('Decisions, in the pure core');
  for (const part of [0.1, 0.25, 0.5, 1]) measureCore(Math.round(nodeCount * part), Math.round(machineCount * part));
}
const bindings = wanted.includes('bind') ? (console.log('Bindings, through PostgreSQL'), await measureBindings(nodeCount, options.bindings)) : undefined;

const date = new Date().toISOString().slice(0, 10);
const output = options.output ?? path.join(import.meta.dirname, 'results', `${date}-scheduler.json`);
mkdirSync(path.dirname(output), { recursive: true });
const machine = { cpu: os.cpus()[0]?.model, cores: os.cpus().length, memoryGiB: Math.round(os.totalmem() / 2 ** 30), kernel: os.release(), node: process.version, loadAverage: os.loadavg() };
writeFileSync(output, `${JSON.stringify({ startedAt: new Date().toISOString(), machine, figures, ...(bindings ? { bindings } : {}) }, undefined, 1)}\n`);
console.log(`Written to ${path.relative(process.cwd(), output)}`);
