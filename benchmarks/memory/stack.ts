import { setTimeout as delay } from 'node:timers/promises';
import { call, createVm, deleteVm, eventually, exec, snapshotOf, SNAPSHOTS, statusOf, VMS, waitFor } from '../../e2e/api.ts';
import { type Figures, quantile } from './figures.ts';
import { type VmProcess, vmProcesses } from './vm-processes.ts';

export interface StackOptions {
  readonly creates: number;
  readonly burst: number;
  readonly machines: number;
  readonly idleSeconds: number;
  readonly snapshots: number;
  readonly launcherPid: number;
  readonly vmClass?: string;
  /** Which parts are measured; all where none is named. */
  readonly rows: readonly StackRows[];
}

const ROWS = { creates, bursts, idle, snapshots, wake, forks, claims } satisfies Record<string, (figures: Figures, options: StackOptions) => Promise<void>>;
export type StackRows = keyof typeof ROWS;
export const STACK_ROWS = Object.keys(ROWS) as readonly StackRows[];

const imageOf = ({ vmClass }: StackOptions): object => ({ source: { image: 'linux-minimal' }, ...(vmClass === undefined ? {} : { class: vmClass }) });
const FORK_NOISE_MIB = 20;
/** A process is trimmed ten seconds after its guest has come to rest. */
const TRIMMED_WITHIN_MS = 60_000;

/** Create → Ready → the first command's right answer, through the API. */
async function createToAnswer(spec: object): Promise<{ readonly vm: string; readonly ms: number }> {
  const start = performance.now();
  const vm = await createVm(spec);
  await waitFor(`${VMS}/${vm}`, 'Ready', 120);
  const { stdout } = await exec(vm, 'echo $((6*7))');
  if (stdout !== '42\n') throw new Error(`the guest answered ${JSON.stringify(stdout)}`);
  return { vm, ms: performance.now() - start };
}

/** What a user of a whole Corral sees of the memory engine. */
export async function measureStack(figures: Figures, options: StackOptions): Promise<void> {
  for (const rows of options.rows) {
    console.log(`\n${rows}`);
    await ROWS[rows](figures, options).catch((error: unknown) => figures.skip(rows, error));
  }
}

async function creates(figures: Figures, options: StackOptions): Promise<void> {
  const { creates: count, launcherPid } = options;
  const times: number[] = [];
  for (let run = -2; run < count; run += 1) {
    await poolIsAtRest(launcherPid);
    const { vm, ms } = await createToAnswer(imageOf(options));
    await deleteVm(vm);
    // The first two tell the node what to make ready.
    if (run >= 0) times.push(ms);
  }
  figures.add({ name: 'create from golden snapshot → first exec answer, p50', unit: 'ms', bar: 200, moonshot: 80 }, quantile(times, 0.5), times);
  figures.add({ name: 'create from golden snapshot → first exec answer, p95', unit: 'ms', bar: 400, moonshot: 150 }, quantile(times, 0.95), times);
}

async function bursts(figures: Figures, options: StackOptions): Promise<void> {
  const { burst, launcherPid } = options;
  for (const name of ['first time', 'again within a quarter of an hour']) {
    await poolIsAtRest(launcherPid);
    const all = await Promise.all(Array.from({ length: burst }, () => createToAnswer(imageOf(options))));
    const times = all.map(({ ms }) => ms);
    const row = { name: `${burst} creates at once, p95, ${name}`, unit: 'ms', bar: 2500, moonshot: 1200 } as const;
    figures.add(row, quantile(times, 0.95), times, `p50 ${quantile(times, 0.5).toFixed(0)} ms`);
    await removed(all.map(({ vm }) => vm));
  }
}

async function idle(figures: Figures, options: StackOptions): Promise<void> {
  const { machines, idleSeconds, launcherPid } = options;
  await eventually('no other machine runs', () => Promise.resolve(vmProcesses(launcherPid)), (processes) => processes.every(({ isStarted }) => !isStarted));
  const held: string[] = [];
  for (let count = 0; count < machines; count += 1) held.push((await createToAnswer(imageOf(options))).vm);
  const own = (): VmProcess[] => vmProcesses(launcherPid).filter(({ isStarted }) => isStarted);
  if (own().length !== machines) throw new Error(`${machines} machines have ${own().length} processes`);
  const afterFirst = own().map(({ privateGuestMiB }) => privateGuestMiB);
  figures.add({ name: 'private guest RAM per clone after its first command', unit: 'MiB', bar: 1, moonshot: 0.5 }, quantile(afterFirst, 0.5), afterFirst);
  const startMs = performance.now();
  let seen = own();
  // Until it no longer falls: each process trims itself in its own time.
  for (let steady = 0; steady < 6 && performance.now() - startMs < TRIMMED_WITHIN_MS; ) {
    await delay(2_500);
    const now = own();
    const [sum, sumBefore] = [now, seen].map((list) => list.reduce((total, { privateMiB }) => total + privateMiB, 0));
    steady = (sumBefore ?? 0) - (sum ?? 0) < 0.2 * now.length ? steady + 1 : 0;
    seen = now;
  }
  const trimmed = own().map(({ privateMiB }) => privateMiB);
  figures.add({ name: 'private memory per idle clone, whole process, trimmed', unit: 'MiB', bar: 32, moonshot: 20 }, quantile(trimmed, 0.5), trimmed);
  const cpuBefore = new Map(own().map(({ pid, cpuMs }) => [pid, cpuMs]));
  const watchedMs = performance.now();
  await delay(idleSeconds * 1000);
  const elapsedMs = performance.now() - watchedMs;
  const shares = own().map(({ pid, cpuMs }) => (100 * (cpuMs - (cpuBefore.get(pid) ?? cpuMs))) / elapsedMs);
  figures.add({ name: 'CPU of an idle machine, share of a core', unit: '%', bar: 0.3, moonshot: 0.02 }, quantile(shares, 0.5), shares);
  await removed(held);
}

async function snapshots(figures: Figures, options: StackOptions): Promise<void> {
  const { snapshots: count } = options;
  const { vm } = await createToAnswer({ ...imageOf(options), memory: '512Mi' });
  const [pauses, sizes]: [number[], number[]] = [[], []];
  for (let run = -1; run < count; run += 1) {
    await exec(vm, 'date > /tmp/now; ls / > /tmp/listing');
    const { body } = await call('GET', `${SNAPSHOTS}/${await snapshotOf(vm)}`);
    // The first one has everything since the machine's base.
    if (run < 0) continue;
    pauses.push(body.status.pauseMilliseconds);
    sizes.push(body.status.sizeBytes / 1024);
  }
  figures.add({ name: 'pause for a snapshot of a 512 MiB guest, p50', unit: 'ms', bar: 15, moonshot: 3 }, quantile(pauses, 0.5), pauses);
  figures.add({ name: 'snapshot after a small command: bytes to S3', unit: 'KiB', bar: 600, moonshot: 250 }, quantile(sizes, 0.5), sizes);
  await removed([vm]);
}

async function wake(figures: Figures, options: StackOptions): Promise<void> {
  const { snapshots: count } = options;
  const { vm } = await createToAnswer(imageOf(options));
  const times: number[] = [];
  for (let run = 0; run < count; run += 1) {
    await hibernate(vm);
    const start = performance.now();
    const { stdout } = await exec(vm, 'echo $((6*7))');
    if (stdout !== '42\n') throw new Error(`the guest answered ${JSON.stringify(stdout)}`);
    times.push(performance.now() - start);
  }
  figures.add({ name: 'wake from hibernation to first answer, p50', unit: 'ms', bar: 350, moonshot: 120 }, quantile(times, 0.5), times);
  await removed([vm]);
}

/** One request → every child's first right answer. Its bars are of the facts' proof of concept, which had no API. */
async function forks(figures: Figures, options: StackOptions): Promise<void> {
  const { snapshots: count, launcherPid } = options;
  const { vm } = await createToAnswer(imageOf(options));
  // In its memory, where every child sees it.
  await exec(vm, `head -c ${FORK_NOISE_MIB}m /dev/urandom > /tmp/noise`);
  const started = (): VmProcess[] => vmProcesses(launcherPid).filter(({ isStarted }) => isStarted);
  const others = new Set(started().map(({ pid }) => pid));
  const pauses: number[] = [];
  const held: number[] = [];
  for (const children of [1, 10]) {
    const times: number[] = [];
    for (let run = -1; run < (children === 1 ? count : 1); run += 1) {
      await poolIsAtRest(launcherPid);
      const start = performance.now();
      const { status, body } = await call('POST', `${VMS}/${vm}/fork`, { count: children });
      const answeredMs = performance.now() - start;
      if (status !== 201) throw new Error(`fork answered ${status}`);
      const names: string[] = body.items.map(({ name }: { name: string }) => name);
      await Promise.all(names.map(answers));
      if (run >= 0) times.push(performance.now() - start);
      if (run >= 0 && children === 1) held.push(answeredMs);
      const moment = await call('GET', `${SNAPSHOTS}/${body.moment}`);
      pauses.push(moment.body.status.pauseMilliseconds);
      if (children === 10 && run >= 0) {
        const own = started().filter(({ pid }) => !others.has(pid)).map(({ privateGuestMiB }) => privateGuestMiB);
        if (own.length !== children) throw new Error(`${children} forks have ${own.length} processes`);
        figures.add({ name: `private guest RAM per fork of a machine that has written ${FORK_NOISE_MIB} MiB, after its first command`, unit: 'MiB', bar: 1.5, moonshot: 1 }, quantile(own, 0.5), own);
      }
      await removed(names);
    }
    figures.add({ name: `live fork: ${children} of a running machine, the last one's first answer, p50`, unit: 'ms', bar: children === 1 ? 350 : 2500, moonshot: children === 1 ? 74 : 425 }, quantile(times, 0.5), times);
  }
  figures.add({ name: 'live fork: its moment is held and the request answered, p50', unit: 'ms', bar: 250, moonshot: 75 }, quantile(held, 0.5), held);
  figures.add({ name: 'pause of the source of a live fork, p50', unit: 'ms', bar: 15, moonshot: 3 }, quantile(pauses, 0.5), pauses);
  await removed([vm]);
}

/** A warm machine of a pool: its claim → the first right answer. */
async function claims(figures: Figures, options: StackOptions): Promise<void> {
  const path = VMS.replace('virtualmachines', 'virtualmachinepools');
  const { status } = await call('POST', path, { apiVersion: 'corral.dev/v1', kind: 'VirtualMachinePool', metadata: { name: 'bench' }, spec: { template: { spec: imageOf(options) }, warm: 2, maximum: 4 } });
  if (status !== 201) throw new Error(`the pool was answered with ${status}`);
  const times: number[] = [];
  for (let run = 0; run < options.snapshots; run += 1) {
    await eventually('the pool is warm', () => call('GET', `${path}/bench`), ({ body }) => body.status?.ready === 2);
    await poolIsAtRest(options.launcherPid);
    const start = performance.now();
    const vm = await createVm({ source: { pool: 'bench' } });
    await answers(vm);
    times.push(performance.now() - start);
    await removed([vm]);
  }
  figures.add({ name: 'claim of a warm machine → first answer, p50', unit: 'ms', bar: 150, moonshot: 50 }, quantile(times, 0.5), times);
  await call('DELETE', `${path}/bench`);
}

async function answers(vm: string): Promise<void> {
  await waitFor(`${VMS}/${vm}`, 'Ready', 120);
  const { stdout } = await exec(vm, 'echo $((6*7))');
  if (stdout !== '42\n') throw new Error(`the guest answered ${JSON.stringify(stdout)}`);
}

async function hibernate(vm: string): Promise<void> {
  const { status } = await call('POST', `${VMS}/${vm}/hibernate`, {});
  if (status >= 300) throw new Error(`hibernate answered ${status}`);
  await eventually(`${vm} hibernates`, () => statusOf(vm), ({ phase }) => phase === 'Hibernated', 120_000);
}

/** Processes that are made ready take CPU time, which is not what is measured. */
async function poolIsAtRest(launcherPid: number): Promise<void> {
  const cpu = (): number => vmProcesses(launcherPid).reduce((sum, { cpuMs }) => sum + cpuMs, 0);
  const untilMs = performance.now() + 60_000;
  for (let quiet = 0, last = cpu(); quiet < 4 && performance.now() < untilMs; ) {
    await delay(500);
    const now = cpu();
    quiet = now - last < 50 ? quiet + 1 : 0;
    last = now;
  }
}

async function removed(vms: readonly string[]): Promise<void> {
  await Promise.all(vms.map(deleteVm));
  await eventually('deleted machines are gone', () => call('GET', VMS), ({ body }) => body.items.every(({ metadata }: { metadata: { name: string } }) => !vms.includes(metadata.name)));
}
