import { randomBytes } from 'node:crypto';
import { Problem } from '@corral/contracts';
import type { CorralClient, resources } from '@corral/client';
import type { Command } from 'commander';
import type { Invocation } from '../invocation.ts';
import { isReady } from '../conditions.ts';
import { hasFailed, waitUntilReady } from '../machine-start.ts';
import { machineName, printMachines } from '../machines.ts';
import { parseOutputFormat, type OutputFormat } from '../output.ts';
import { wholeNumber } from '../pairs.ts';
import { UsageError } from '../usage-error.ts';
import { takeSnapshot } from './snapshot.ts';

const MAX_FORKS = 100;

interface ForkOptions {
  readonly count?: number;
  readonly timeout: number;
  readonly output?: OutputFormat;
}

export function addFork(program: Command, invocation: Invocation): void {
  program
    .command('fork')
    .summary('make copies of a running machine')
    .description('Makes machines that go on from where a running one is now, memory and disk, while it runs on. What succeeded and what did not is told one by one.')
    .argument('<machine>', 'name of the machine')
    .argument('[names...]', 'names of the copies (default: made from the machine)')
    .option('-c, --count <number>', 'how many, when no names are given', wholeNumber(1, MAX_FORKS))
    .option('--timeout <seconds>', 'how long to wait for each', wholeNumber(1, 86_400), 300)
    .option('-o, --output <format>', 'json, yaml, wide or name', parseOutputFormat)
    .addHelpText('after', '\nExamples:\n  corral fork demo\n  corral fork demo left right\n  corral fork demo --count 10')
    .action(async (machine: string, names: string[], options: ForkOptions) => {
      const copies = namesOf(machine, names, options.count);
      const { client, namespace } = await invocation.session();
      const snapshot = `${machine}-fork-${randomBytes(3).toString('hex')}`;
      await takeSnapshot(client, { namespace, machine, name: snapshot, timeoutMs: options.timeout * 1_000 }, invocation);
      const outcomes = await Promise.all(copies.map((name) => startCopy(client, { namespace, name, snapshot, timeoutMs: options.timeout * 1_000 }, invocation)));
      const started = outcomes.flatMap((outcome) => (outcome.type === 'Started' ? [outcome.machine] : []));
      printMachines(invocation, started, options.output, 'forked');
      for (const outcome of outcomes) {
        if (outcome.type === 'Failed') invocation.stderr.write(`${machineName(outcome.name)}: ${outcome.problem.message}\n`);
      }
      if (started.length < copies.length) invocation.exitWith(1);
    });
}

export function namesOf(machine: string, names: readonly string[], count: number | undefined): readonly string[] {
  if (names.length > 0 && count !== undefined && count !== names.length) throw new UsageError(`--count ${count} does not fit ${names.length} names: give one or the other`);
  if (names.length > MAX_FORKS) throw new UsageError(`at most ${MAX_FORKS} copies at once`);
  if (names.length > 0) return names;
  const batch = randomBytes(2).toString('hex');
  return Array.from({ length: count ?? 1 }, (_, index) => `${machine}-${batch}-${index + 1}`);
}

interface Copy {
  readonly namespace: string;
  readonly name: string;
  readonly snapshot: string;
  readonly timeoutMs: number;
}

type Outcome =
  | { readonly type: 'Started'; readonly machine: resources.VirtualMachine }
  | { readonly type: 'Failed'; readonly name: string; readonly problem: Problem };

/** The machine once it answers, or why there is none. */
async function startCopy(client: CorralClient, { namespace, name, snapshot, timeoutMs }: Copy, { screen, signal }: Invocation): Promise<Outcome> {
  const quiet = { say: () => undefined, done: () => undefined, fail: () => undefined };
  try {
    await client.virtualMachines.create(namespace, { metadata: { name }, spec: { source: { snapshot } } }, { idempotencyKey: randomBytes(16).toString('hex') });
    const machine = await waitUntilReady(client.virtualMachines, { namespace, name }, { timeoutMs, signal, step: quiet, isOver: hasFailed });
    if (!isReady(machine)) throw new Problem('vm.not-running', `ended before it answered: see kubectl describe vm ${name}`);
    screen.line(`${name} is ready`);
    return { type: 'Started', machine };
  } catch (error) {
    if (error instanceof Problem) return { type: 'Failed', name, problem: error };
    throw error;
  }
}
