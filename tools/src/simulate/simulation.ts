import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type HttpObjectClient } from '@corral/client';
import {
  findCondition,
  namespaces,
  nodes,
  virtualMachineImages,
  virtualMachines,
  type KindDefinition,
  type NewObject,
  type VirtualMachineImageSpec,
  type VirtualMachineSpec,
} from '@corral/contracts';
import { z } from 'zod';
import { Ledger, type Quantiles } from './ledger.ts';
import { machineName } from './names.ts';
import { startStack, type SimulationStack, type StackProcess } from './stack.ts';
import { cpuMsOf, residentMiBOf } from './usage.ts';

export interface SimulationOptions {
  readonly root: string;
  /** What the simulation was started with; its processes get nothing of it but PATH. */
  readonly environment: NodeJS.ProcessEnv;
  readonly nodes: number;
  readonly machines: number;
  readonly agentsPerProcess: number;
  readonly steadySeconds: number;
  /** So many machines are created at once, and bound when all are there; the rest while everything runs. */
  readonly bulk: number;
  /** Of the rest, at most so many are on their way to Running at a time. */
  readonly ramp: number;
  /** Machines created one after another once everything rests, for the latency people see. */
  readonly samples: number;
  /** Flags of Node for the processes of the control plane, e.g. --cpu-prof. */
  readonly nodeArguments: readonly string[];
  say(line: string): void;
}

/** What rest costs: shares of one core in percent, and memory. */
export interface Rest {
  readonly cpuPercent: Readonly<Record<string, number>>;
  readonly residentMiB: Readonly<Record<string, number>>;
  readonly changesPerSecond: number;
}

export interface SimulationResult {
  readonly nodes: number;
  readonly machines: number;
  /** How many of them were created and bound in bulk: what the next four figures are of. */
  readonly bulk: number;
  readonly createsPerSecond: number;
  readonly bindingsPerSecond: number;
  /** CPU time of all processes of the control plane and PostgreSQL together: what does not depend on who else uses the machine. */
  readonly cpuMsPerCreate: number;
  readonly cpuMsPerBinding: number;
  /** From the scheduler's start until the last machine of the bulk was said to run. */
  readonly allReadySeconds: number;
  /** Machines that came to run in a second afterwards, when they were created at the pace at which they do; undefined without any. */
  readonly rampPerSecond: number | undefined;
  readonly createToBoundMs: Quantiles;
  readonly createToReadyMs: Quantiles;
  /** With the API in one process, controllers and scheduler in another. */
  readonly split: Rest;
  /** With every role in one process, as by default. */
  readonly single: Rest;
  readonly agentFailures: Readonly<Record<string, number>>;
  readonly complaints: Readonly<Record<string, number>>;
}

const NAMESPACE = 'simulation';
const IMAGE = 'simulated';
const CREATES_AT_ONCE = 32;
/** Until what was compiled, collected and connected anew after the start is. */
const SETTLE_MS = 45_000;
const DEADLINE_MS = 60_000;
const PACE_MS = 5;
const TELL_MS = 15_000;

const AgentMessage = z.union([
  z.object({ type: z.literal('Registered'), count: z.number() }),
  z.object({ type: z.literal('Failures'), failures: z.record(z.string(), z.number()) }),
]);

/** One run: a control plane of its own, fake agents that speak the real protocol, machines, and then rest. */
export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const { say, nodeArguments } = options;
  const stack = await startStack(options.root, options.environment);
  const agents: ChildProcess[] = [];
  const watching = new AbortController();
  try {
    say(`state in ${stack.home}`);
    const api = await stack.start('api', { roles: 'api', nodeArguments });
    const client = stack.client(api);
    const preparing = await stack.start('preparing', { roles: 'controllers' });
    await prepare(client, api, stack.adminToken);
    await preparing.stop();

    say(`registering ${options.nodes} nodes`);
    agents.push(...(await startAgents(options, api, stack.nodeToken)));
    const ledger = new Ledger();
    const { resourceVersion } = await client.list(virtualMachines, { namespace: NAMESPACE });
    const followed = ledger.follow(client, NAMESPACE, resourceVersion, watching.signal);

    const bulk = Math.min(options.machines, options.bulk);
    say(`creating ${bulk} machines`);
    const creatingFrom = performance.now();
    const creatingCpu = cpuMsOf(api.pid) + cpuMsOf(stack.postgresPid);
    await createMachines(client, ledger, { first: 0, count: bulk, atOnce: CREATES_AT_ONCE, pending: Infinity });
    const createsPerSecond = bulk / seconds(performance.now() - creatingFrom);
    const cpuMsPerCreate = (cpuMsOf(api.pid) + cpuMsOf(stack.postgresPid) - creatingCpu) / bulk;
    await ledger.reached('seen', bulk);

    say(`${createsPerSecond.toFixed(0)} creates/s; binding`);
    const controllers = await stack.start('controllers', { roles: 'controllers,scheduler', nodeArguments });
    const bindingFrom = performance.now();
    await ledger.reached('bound', 1);
    const everything = (): number => cpuMsOf(api.pid) + cpuMsOf(controllers.pid) + cpuMsOf(stack.postgresPid);
    const bindingCpu = everything();
    await ledger.reached('bound', bulk);
    // Agents begin to report machines meanwhile, so this is more than binding alone.
    const cpuMsPerBinding = (everything() - bindingCpu) / bulk;
    const bindingsPerSecond = bulk / seconds(ledger.lastBoundAt - (ledger.firstBoundAt ?? bindingFrom));
    say(`${bindingsPerSecond.toFixed(0)} bindings/s; waiting until all run`);
    await ledger.reached('ready', bulk);
    const allReadySeconds = seconds(performance.now() - bindingFrom);
    const rampPerSecond = await rampUp(options, client, ledger, bulk);

    const split = await measureRest(options, stack, { api, controllers });
    say('one process with every role');
    await Promise.all([api.stop(), controllers.stop()]);
    const whole = await stack.start('whole', { roles: 'api,controllers,scheduler', port: api.port, nodeArguments });
    const single = await measureRest(options, stack, { whole });

    say(`creating ${options.samples} machines one after another`);
    const before = ledger.count('ready');
    for (let index = 0; index < options.samples; index += 1) {
      await createMachines(client, ledger, { first: options.machines + index, count: 1, atOnce: 1, pending: Infinity });
      await ledger.reached('ready', before + index + 1);
    }
    watching.abort();
    await followed;
    return {
      nodes: options.nodes,
      machines: options.machines,
      bulk,
      createsPerSecond: Math.round(createsPerSecond),
      bindingsPerSecond: Math.round(bindingsPerSecond),
      cpuMsPerCreate: hundredths(cpuMsPerCreate),
      cpuMsPerBinding: hundredths(cpuMsPerBinding),
      allReadySeconds: tenths(allReadySeconds),
      rampPerSecond: rampPerSecond === undefined ? undefined : Math.round(rampPerSecond),
      createToBoundMs: ledger.quantiles('bound', options.samples),
      createToReadyMs: ledger.quantiles('ready', options.samples),
      split,
      single,
      agentFailures: await failuresOf(agents),
      complaints: stack.complaints(),
    };
  } finally {
    watching.abort();
    for (const child of agents) child.kill('SIGKILL');
    await stack.stop();
  }
}

async function prepare(client: HttpObjectClient, { url }: StackProcess, token: string): Promise<void> {
  await eventually('the system namespaces', async () => (await client.get(namespaces, undefined, 'kube-node-lease')) !== undefined);
  await client.create(namespaces as KindDefinition, { metadata: { name: NAMESPACE } });
  const uploaded = await fetch(`${url}/apis/corral.dev/v1/artifacts`, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: new Uint8Array(kernel()) });
  const artifact = z.object({ url: z.string() }).parse(await uploaded.json());
  const image: NewObject<VirtualMachineImageSpec> = { metadata: { name: IMAGE }, spec: { kernel: { url: artifact.url }, memory: '64Mi' } as VirtualMachineImageSpec };
  await client.create(virtualMachineImages, image);
  await eventually('the image is Ready', async () => {
    const made = await client.get(virtualMachineImages, undefined, IMAGE);
    return findCondition(made?.status?.conditions, 'Ready')?.status === 'True';
  });
}

/** Bytes that look like a Linux kernel to whoever checks formats. Source: Documentation/arch/x86/boot.rst. */
function kernel(): Buffer {
  const bytes = Buffer.alloc(4096);
  bytes.writeUInt16LE(0xaa55, 0x1fe);
  bytes.write('HdrS', 0x202, 'latin1');
  bytes.writeUInt16LE(0x20f, 0x206);
  bytes.writeUInt8(1, 0x211);
  return bytes;
}

async function startAgents({ root, environment, nodes: count, machines, agentsPerProcess, say }: SimulationOptions, api: StackProcess, nodeToken: string): Promise<ChildProcess[]> {
  const children: ChildProcess[] = [];
  const machinesMax = Math.ceil((machines / count) * 2) + 10;
  for (let first = 0; first < count; first += agentsPerProcess) {
    const share = Math.min(agentsPerProcess, count - first);
    const child = fork(join(root, 'tools/src/simulate/agents.main.ts'), [api.url, String(first), String(share), String(machinesMax)], {
      execArgv: ['--conditions=@corral/source', '--disable-warning=ExperimentalWarning'],
      env: { PATH: environment['PATH'], CORRAL_NODE_TOKEN: nodeToken },
    });
    children.push(child);
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`the agents ended with code ${code}`)));
      child.on('message', (message) => {
        if (AgentMessage.safeParse(message).data?.type === 'Registered') resolve();
      });
    });
    say(`${first + share} nodes are registered`);
  }
  return children;
}

/** The rest of the machines, created at the pace at which they come to run; how many did in a second. */
async function rampUp({ machines, ramp, say }: SimulationOptions, client: HttpObjectClient, ledger: Ledger, bulk: number): Promise<number | undefined> {
  const count = machines - bulk;
  if (count === 0) return undefined;
  say(`creating ${count} more, at most ${ramp} on their way`);
  const from = performance.now();
  const told = setInterval(() => say(`${ledger.count('ready')} run`), TELL_MS);
  await createMachines(client, ledger, { first: bulk, count, atOnce: CREATES_AT_ONCE, pending: ramp });
  await ledger.reached('ready', machines).finally(() => clearInterval(told));
  return count / seconds(performance.now() - from);
}

/** `pending`: how many may be created and not run yet, of all. */
async function createMachines(
  client: HttpObjectClient,
  ledger: Ledger,
  { first, count, atOnce, pending }: { readonly first: number; readonly count: number; readonly atOnce: number; readonly pending: number },
): Promise<void> {
  let next = first;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < first + count) {
        if (next - ledger.count('ready') >= pending) {
          await delay(PACE_MS);
          continue;
        }
        const name = machineName(next++);
        ledger.created(name);
        await client.create(virtualMachines, { metadata: { name, namespace: NAMESPACE }, spec: { source: { image: IMAGE }, memory: '64Mi' } as VirtualMachineSpec });
      }
    }),
  );
}

async function measureRest({ steadySeconds, say }: SimulationOptions, stack: SimulationStack, processes: Readonly<Record<string, StackProcess>>): Promise<Rest> {
  await delay(SETTLE_MS);
  say(`resting for ${steadySeconds} s`);
  const pids = { ...Object.fromEntries(Object.entries(processes).map(([name, { pid }]) => [name, pid])), postgres: stack.postgresPid };
  const client = stack.client(Object.values(processes)[0] as StackProcess);
  const versionNow = async (): Promise<number> => Number((await client.list(nodes, { labelSelector: 'nobody=here' })).resourceVersion);
  const [versionBefore, begunAt] = [await versionNow(), performance.now()];
  const before = Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, cpuMsOf(pid)]));
  await delay(steadySeconds * 1000);
  const elapsedMs = performance.now() - begunAt;
  const cpuPercent = Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, tenths(((cpuMsOf(pid) - (before[name] ?? 0)) / elapsedMs) * 100)]));
  const changesPerSecond = tenths(((await versionNow()) - versionBefore) / seconds(elapsedMs));
  const residentMiB = Object.fromEntries(Object.entries(processes).map(([name, { pid }]) => [name, residentMiBOf(pid)]));
  say(`CPU % of a core: ${JSON.stringify(cpuPercent)}, MiB: ${JSON.stringify(residentMiB)}, changes/s: ${changesPerSecond}`);
  return { cpuPercent, residentMiB, changesPerSecond };
}

async function failuresOf(agents: readonly ChildProcess[]): Promise<Record<string, number>> {
  const sum: Record<string, number> = {};
  for (const child of agents) {
    const answer = new Promise<unknown>((resolve) => child.once('message', resolve));
    child.send('failures');
    const message = AgentMessage.parse(await answer);
    if (message.type === 'Failures') for (const [what, count] of Object.entries(message.failures)) sum[what] = (sum[what] ?? 0) + count;
  }
  return sum;
}

async function eventually(what: string, look: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await look())) {
    if (performance.now() > deadline) throw new Error(`not within ${DEADLINE_MS} ms: ${what}`);
    await delay(100);
  }
}

const seconds = (ms: number): number => ms / 1000;
const hundredths = (value: number): number => Math.round(value * 100) / 100;
const tenths = (value: number): number => Math.round(value * 10) / 10;
