/**
 * `npm run bench:api`: throughput and latency of the API at 50 clients, and of watches at 1,000 watchers, against a whole
 * API process on a PostgreSQL that commits to disk, or with --url against any server of the Kubernetes API. Everything
 * shares this machine's cores, the load generator too, so CPU time per request is told beside: noise hurts it less.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { count, flag, oneOf, programOptions, someOf, text } from '@corral/testing';
import { Connection, type Target } from './api/connection.ts';
import { cpuMsOf, machineCpuMs } from './api/cpu.ts';
import type { LoadJob, LoadResult, WatchersReady } from './api/job.ts';
import { startOwnStack, type OwnStack } from './api/own-stack.ts';

const options = programOptions('npm run bench:api', {
  url: text('URL', 'another server instead of one of its own, e.g. a kube-apiserver'),
  token: text('TOKEN', 'its bearer token (or BENCH_TOKEN)'),
  serverPids: text('A,B', 'its processes on this machine, children counted too, for CPU per request (API first)'),
  kind: oneOf(['lease', 'configmap', 'virtualmachine'], 'lease', 'of the objects; the same on both sides'),
  only: someOf(['create', 'get', 'list', 'patch', 'watch'], 'what is measured'),
  clients: count(50, 'concurrent clients'),
  seconds: count(5, 'per figure, after a second of warming up'),
  bytes: count(600, 'of padding in each object, which makes about 1 KiB'),
  watchers: count(1000, 'watchers, over two processes'),
  events: count(50, 'per watcher, ten a second'),
  tls: flag('over TLS, as a kube-apiserver is always spoken to'),
  compacting: flag('all history is forgotten every second meanwhile'),
  profile: flag('writes a CPU profile of the API to the working directory'),
  label: text('TEXT', 'kept in the result'),
  output: text('FILE', 'where the JSON goes (benchmarks/results/<date>-api.json)'),
});

/** One of the kinds both sides may have, as small manifests. */
interface BenchKind {
  readonly apiVersion: string;
  readonly kind: string;
  readonly collection: (namespace: string) => string;
  readonly body: object;
}
const KINDS: Readonly<Record<typeof options.kind, BenchKind>> = {
  lease: {
    apiVersion: 'coordination.k8s.io/v1', kind: 'Lease',
    collection: (namespace) => `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`,
    body: { spec: { holderIdentity: 'bench', leaseDurationSeconds: 40, renewTime: '2026-01-01T00:00:00.000000Z' } },
  },
  configmap: { apiVersion: 'v1', kind: 'ConfigMap', collection: (namespace) => `/api/v1/namespaces/${namespace}/configmaps`, body: { data: { key: 'value' } } },
  virtualmachine: {
    apiVersion: 'corral.dev/v1', kind: 'VirtualMachine',
    collection: (namespace) => `/apis/corral.dev/v1/namespaces/${namespace}/virtualmachines`,
    body: { spec: { source: { image: 'bench' }, memory: '64Mi', powerState: 'Stopped' } },
  },
};

/** What a kube-apiserver with etcd did at 50 clients, on two cores that the clients shared, and the bar: half of it. */
const KUBERNETES: Readonly<Record<string, { readonly perSecond: number; readonly p99Ms: number } | undefined>> = {
  create: { perSecond: 1860, p99Ms: 76 },
  get: { perSecond: 3600, p99Ms: 48 },
  'list of 100': { perSecond: 650, p99Ms: 254 },
  'merge-patch': { perSecond: 960, p99Ms: 161 },
};
const WATCH_BAR_MS = 250;
const WARM_UP_S = 1.5;
const EVENT_EVERY_MS = 100;
const CORES = os.availableParallelism();

interface Figure {
  readonly figure: string;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU time per request. */
  readonly apiMs: number | undefined;
  readonly postgresMs: number | undefined;
  readonly clientMs: number;
  /** Share of the machine others used meanwhile, in percent of all cores. */
  readonly othersPercent: number;
  /** What the CPU time says two cores could do if nobody else used them. */
  readonly alonePerSecond: number | undefined;
  readonly bar: string;
  readonly refusals: Readonly<Record<string, number>>;
}
const figures: Figure[] = [];

const kind = KINDS[options.kind];
const clients = options.clients;
const wanted = options.only;
const run = `bench-${process.pid}`;

function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;
}

const startLoad = (): ChildProcess => fork(path.join(import.meta.dirname, 'api/load.ts'), { execArgv: ['--disable-warning=ExperimentalWarning'] });

function ask<Kind extends 'Ready' | 'Result'>(load: ChildProcess, type: Kind): Promise<Kind extends 'Ready' ? WatchersReady : LoadResult> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: LoadResult | WatchersReady): void => {
      if (message.type !== type) return;
      load.off('message', onMessage);
      load.off('exit', onExit);
      resolve(message as Kind extends 'Ready' ? WatchersReady : LoadResult);
    };
    const onExit = (): void => reject(new Error('a load generator ended'));
    load.on('message', onMessage);
    load.once('exit', onExit);
  });
}

interface Meter {
  readonly api: number;
  readonly postgres: number;
  readonly load: number;
  readonly machine: number;
  readonly at: number;
}
function meter(loads: readonly ChildProcess[]): Meter {
  return {
    api: apiPid === undefined ? NaN : cpuMsOf(apiPid),
    postgres: storePid === undefined ? NaN : cpuMsOf(storePid),
    load: loads.reduce((sum, { pid = 0 }) => sum + cpuMsOf(pid), 0),
    machine: machineCpuMs(),
    at: performance.now(),
  };
}

function record(figure: string, requests: number, latenciesMs: readonly number[], refusals: Readonly<Record<string, number>>, from: Meter, to: Meter, elapsedMs: number): void {
  const per = (used: number): number | undefined => (Number.isNaN(used) ? undefined : +(used / requests).toFixed(3));
  const [api, postgres, load] = [to.api - from.api, to.postgres - from.postgres, to.load - from.load];
  const own = [api, postgres, load].reduce((sum, used) => sum + (Number.isNaN(used) ? 0 : used), 0);
  const perSecond = (requests / elapsedMs) * 1000;
  const p99Ms = quantile(latenciesMs, 0.99);
  const reference = KUBERNETES[figure];
  const result: Figure = {
    figure,
    perSecond: Math.round(perSecond),
    p50Ms: +quantile(latenciesMs, 0.5).toFixed(1),
    p99Ms: +p99Ms.toFixed(1),
    apiMs: per(api),
    postgresMs: per(postgres),
    clientMs: per(load) ?? NaN,
    othersPercent: Math.max(0, Math.round((100 * (to.machine - from.machine - own)) / ((to.at - from.at) * CORES))),
    // The API's JavaScript runs on one thread, so one core at most is its.
    alonePerSecond: Number.isNaN(api) ? undefined : Math.round(Math.min((1000 * requests) / api, (CORES * 1000 * requests) / own)),
    bar: reference
      ? `${Math.round((100 * perSecond) / reference.perSecond)} % of ${reference.perSecond}/s; p99 ${Math.round((100 * p99Ms) / reference.p99Ms)} % of ${reference.p99Ms} ms`
      : figure.startsWith('watch') ? `${p99Ms <= WATCH_BAR_MS ? 'met' : 'MISSED'} (p99 ≤ ${WATCH_BAR_MS} ms)` : '',
    refusals,
  };
  figures.push(result);
  console.log(`  ${figure}: ${result.perSecond}/s, p50 ${result.p50Ms} ms, p99 ${result.p99Ms} ms; CPU per request: API ${result.apiMs} ms, PostgreSQL ${result.postgresMs} ms, client ${result.clientMs} ms; others ${result.othersPercent} %; alone ~${result.alonePerSecond}/s  ${result.bar}`);
  if (Object.keys(refusals).length > 0) console.log(`    refused: ${JSON.stringify(refusals)}`);
}

async function measure(figure: string, job: Omit<LoadJob & { type: 'Requests' }, 'type' | 'target' | 'clients' | 'seconds'>): Promise<void> {
  const load = startLoad();
  try {
    const doFor = async (seconds: number, prefix: string): Promise<LoadResult> => {
      const answer = ask(load, 'Result');
      load.send({ ...job, type: 'Requests', target, clients, seconds, prefix } satisfies LoadJob);
      return answer;
    };
    // Names that are counted up would be there already the second time.
    await doFor(WARM_UP_S, job.picks === 'Each' ? `warm-${job.prefix}` : job.prefix);
    const from = meter([load]);
    const { latenciesMs, elapsedMs, refusals } = await doFor(options.seconds, job.prefix);
    record(figure, latenciesMs.length, latenciesMs, refusals, from, meter([load]), elapsedMs);
  } finally {
    load.disconnect();
  }
}

async function call(setup: Connection, method: string, where: string, body?: object): Promise<void> {
  const { status, text } = await setup.request(method, where, body === undefined ? undefined : JSON.stringify(body), 'application/json', true);
  if (status >= 300 && status !== 409) throw new Error(`${method} ${where}: ${status} ${text}`);
}

const manifest = (name: string): string =>
  JSON.stringify({
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    metadata: { name, labels: { app: 'bench', tier: 'load' }, annotations: { 'bench.corral.dev/padding': 'x'.repeat(options.bytes) } },
    ...kind.body,
  });
const patched = (value: string): string => JSON.stringify({ metadata: { annotations: { 'bench.corral.dev/sent-at': value } } });

async function fill(namespace: string, count: number): Promise<void> {
  const setup = await Connection.open(target);
  await call(setup, 'POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  for (let index = 0; index < count; index += 1) await call(setup, 'POST', kind.collection(namespace), JSON.parse(manifest(`o-${index}`)) as object);
  setup.close();
}

async function fanOut(): Promise<void> {
  const [watchers, events] = [options.watchers, options.events];
  const namespace = `${run}-watch`;
  await fill(namespace, 1);
  const loads = [startLoad(), startLoad()];
  try {
    const ready = loads.map((load) => ask(load, 'Ready'));
    const results = loads.map((load) => ask(load, 'Result'));
    const begun = performance.now();
    for (const load of loads) {
      load.send({ type: 'Watch', target, path: `${kind.collection(namespace)}?watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan`, watchers: watchers / loads.length, events } satisfies LoadJob);
    }
    await Promise.all(ready);
    console.log(`  ${watchers} watches opened in ${Math.round(performance.now() - begun)} ms`);
    const setup = await Connection.open(target);
    const from = meter(loads);
    for (let event = 0; event < events; event += 1) {
      const { status } = await setup.request('PATCH', `${kind.collection(namespace)}/o-0`, patched(String(process.hrtime.bigint())), 'application/merge-patch+json');
      if (status !== 200) throw new Error(`the patch was answered with ${status}`);
      await delay(EVENT_EVERY_MS);
    }
    setup.close();
    const seen = await Promise.all(results);
    const to = meter(loads);
    const latenciesMs = seen.flatMap((result) => [...result.latenciesMs]);
    record(`watch: an event at ${watchers} watchers`, latenciesMs.length, latenciesMs, {}, from, to, to.at - from.at);
  } finally {
    for (const load of loads) load.disconnect();
  }
}

async function measureAll(): Promise<void> {
  const merge = 'application/merge-patch+json';
  const picks = 'Random';
  if (kind.kind === 'VirtualMachine' && stack) await registerImage();
  if (wanted.includes('create')) {
    const namespace = `${run}-create`;
    await fill(namespace, 0);
    await measure('create', { method: 'POST', path: kind.collection(namespace), prefix: 'c-', picks: 'Each', body: manifest('%NAME%') });
  }
  if (wanted.includes('list') || wanted.includes('get') || wanted.includes('patch')) {
    await fill(`${run}-100`, 100);
    await fill(`${run}-500`, 500);
  }
  const objects = { path: `${kind.collection(`${run}-500`)}/%NAME%`, prefix: 'o-', picks, names: 500 } as const;
  if (wanted.includes('get')) await measure('get', { method: 'GET', ...objects });
  if (wanted.includes('list')) {
    await measure('list of 100', { method: 'GET', path: kind.collection(`${run}-100`), prefix: '', picks });
    await measure('list of 500', { method: 'GET', path: kind.collection(`${run}-500`), prefix: '', picks });
  }
  if (wanted.includes('patch')) await measure('merge-patch', { method: 'PATCH', ...objects, body: patched('%COUNT%'), contentType: merge });
  if (wanted.includes('watch')) await fanOut();
}

/** A floppy that boots nothing: enough for machines that are never started. */
async function registerImage(): Promise<void> {
  const floppy = Buffer.alloc(1_474_560);
  floppy.writeUInt16LE(0xaa55, 510);
  floppy.write('\xeb\x63\x90', 0, 'latin1');
  const headers = { authorization: `Bearer ${target.token}` };
  const uploaded = (await (await fetch(`${target.url.replace('https:', 'http:')}/apis/corral.dev/v1/artifacts`, { method: 'POST', headers: { ...headers, 'content-type': 'application/octet-stream' }, body: floppy })).json()) as { url: string };
  const setup = await Connection.open(target);
  await call(setup, 'POST', '/apis/corral.dev/v1/virtualmachineimages', {
    apiVersion: 'corral.dev/v1', kind: 'VirtualMachineImage', metadata: { name: 'bench' }, spec: { floppy: { url: uploaded.url }, memory: '64Mi' },
  });
  setup.close();
}

async function compact(): Promise<void> {
  while (!isDone) {
    const answer = await fetch(`${target.url.replace('https:', 'http:')}/admin/change-log/compactions`, {
      method: 'POST', body: '{}', headers: { authorization: `Bearer ${target.token}`, 'content-type': 'application/json' },
    });
    if (!answer.ok) throw new Error(`compaction was answered with ${answer.status}`);
    await delay(1_000);
  }
}

const startedAt = new Date();
let stack: OwnStack | undefined;
if (options.url === undefined) {
  console.log('Starting an API of its own, on a PostgreSQL that commits to disk …');
  stack = await startOwnStack({ profile: options.profile, tls: options.tls });
}
const target: Target = stack?.target ?? { url: options.url ?? '', token: options.token ?? process.env['BENCH_TOKEN'] ?? '' };
const [apiPid, storePid] = stack ? [stack.apiPid, stack.postgresPid] : (options.serverPids?.split(',') ?? []).map(Number);
let isDone = false;
const compacting = options.compacting ? compact() : Promise.resolve();
try {
  await measureAll();
  console.table(Object.fromEntries(figures.map(({ figure, refusals: _refusals, ...rest }) => [figure, rest])));
  const file = options.output ?? path.join(import.meta.dirname, 'results', `${startedAt.toISOString().slice(0, 16).replace(':', '')}-api.json`);
  mkdirSync(path.dirname(file), { recursive: true });
  const machine = { cpu: os.cpus()[0]?.model, cores: CORES, kernel: os.release(), node: process.version, loadAverage: os.loadavg().map((load) => +load.toFixed(2)) };
  const method = { kind: options.kind, clients, tls: target.url.startsWith('https:'), compacting: options.compacting, seconds: options.seconds, objectBytes: manifest('o-0').length, server: stack ? `own, ${stack.durability}` : 'given', label: options.label ?? '' };
  writeFileSync(file, `${JSON.stringify({ startedAt: startedAt.toISOString(), machine, method, figures }, undefined, 1)}\n`);
  console.log(`Written to ${path.relative(process.cwd(), file)}`);
} finally {
  isDone = true;
  await compacting;
  await stack?.stop();
}
