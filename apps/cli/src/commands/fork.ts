import { randomBytes } from 'node:crypto';
import { MAX_FORKS, Problem, type ForkItem } from '@corral/contracts';
import type { CorralClient, resources } from '@corral/client';
import type { Command } from 'commander';
import type { Invocation } from '../invocation.ts';
import { isReady } from '../conditions.ts';
import { hasFailed, waitUntilReady } from '../machine-start.ts';
import { machineName, printMachines } from '../machines.ts';
import { parseOutputFormat, type OutputFormat } from '../output.ts';
import { pairsOption, wholeNumber } from '../pairs.ts';
import { UsageError } from '../usage-error.ts';

interface ForkOptions {
  readonly count?: number;
  readonly label: Readonly<Record<string, string>>;
  readonly detach?: boolean;
  readonly timeout: number;
  readonly output?: OutputFormat;
}

export function addFork(program: Command, invocation: Invocation): void {
  program
    .command('fork')
    .summary('make copies of a running machine')
    .description('Makes machines that go on from where a running one is now, all from the same moment, memory and disk, while it runs on. What succeeded and what did not is told one by one.')
    .argument('<machine>', 'name of the machine')
    .argument('[names...]', 'names of the copies (default: made from the machine)')
    .option('-c, --count <number>', 'how many, when no names are given', wholeNumber(1, MAX_FORKS))
    .addOption(pairsOption('-l, --label <name=value>', 'add a label to each'))
    .option('-d, --detach', 'do not wait until they answer')
    .option('--timeout <seconds>', 'how long to wait for each', wholeNumber(1, 86_400), 300)
    .option('-o, --output <format>', 'json, yaml, wide or name', parseOutputFormat)
    .addHelpText('after', '\nExamples:\n  corral fork demo\n  corral fork demo left right\n  corral fork demo --count 10 --label batch=7')
    .action((machine: string, names: string[], options: ForkOptions) => fork(invocation, machine, names, options));
}

async function fork(invocation: Invocation, machine: string, names: readonly string[], options: ForkOptions): Promise<void> {
  const wish = { ...wishOf(names, options.count), ...(Object.keys(options.label).length > 0 ? { labels: options.label } : {}) };
  const { client, namespace } = await invocation.session();
  const startedAt = performance.now();
  const step = invocation.screen.step(`${machine}: forking`);
  let items: readonly ForkItem[];
  try {
    // The same key for every try: an answer that got lost does not make them twice.
    ({ items } = await client.machine(namespace, machine).fork(wish, { idempotencyKey: randomBytes(16).toString('hex') }));
  } catch (error) {
    step.fail(`${machine} was not forked`);
    throw error;
  }
  let ready = 0;
  const outcomes = await Promise.all(
    items.map(async (item) => {
      const outcome = await follow(client, namespace, item, options, invocation);
      if (outcome.type === 'Started') step.say(`${machine}: ${(ready += 1)} of ${items.length} ${options.detach ? 'created' : 'ready'}`);
      return outcome;
    }),
  );
  const started = outcomes.flatMap((outcome) => (outcome.type === 'Started' ? [outcome.machine] : []));
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(2);
  const summary = `${started.length} of ${items.length} ${items.length === 1 ? 'copy' : 'copies'} of ${machine} ${options.detach ? 'created' : 'ready'} after ${seconds} s`;
  if (started.length === items.length) step.done(summary);
  else step.fail(summary);
  printMachines(invocation, started, options.output, 'forked');
  for (const outcome of outcomes) {
    if (outcome.type === 'Failed') invocation.stderr.write(`${machineName(outcome.name)}: ${outcome.why}\n`);
  }
  if (started.length < items.length) invocation.exitWith(1);
}

/** What names and a count ask for; refuses what contradicts. */
export function wishOf(names: readonly string[], count: number | undefined): { readonly names: readonly string[] } | { readonly count: number } {
  if (names.length === 0) return { count: count ?? 1 };
  if (count !== undefined && count !== names.length) throw new UsageError(`--count ${count} does not fit ${names.length} names: give one or the other`);
  if (names.length > MAX_FORKS) throw new UsageError(`at most ${MAX_FORKS} copies at once`);
  return { names };
}

type Outcome =
  | { readonly type: 'Started'; readonly machine: resources.VirtualMachine }
  | { readonly type: 'Failed'; readonly name: string; readonly why: string };

/** The machine once it answers, or why there is none. */
async function follow(client: CorralClient, namespace: string, item: ForkItem, options: ForkOptions, { signal }: Invocation): Promise<Outcome> {
  const { name } = item;
  if ('status' in item) return { type: 'Failed', name, why: item.status.message ?? item.status.reason ?? `refused with ${item.code}` };
  if (options.detach) return { type: 'Started', machine: item.object as resources.VirtualMachine };
  const quiet = { say: () => undefined, done: () => undefined, fail: () => undefined };
  try {
    const machine = await waitUntilReady(client.virtualMachines, { namespace, name }, { timeoutMs: options.timeout * 1_000, signal, step: quiet, isOver: hasFailed });
    if (isReady(machine)) return { type: 'Started', machine };
    const why = machine.status?.conditions?.find(({ type }) => type === 'Ready');
    return { type: 'Failed', name, why: why ? `${why.reason}: ${why.message}` : 'ended before it answered' };
  } catch (error) {
    if (error instanceof Problem) return { type: 'Failed', name, why: error.message };
    throw error;
  }
}
