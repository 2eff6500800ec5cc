import { randomBytes } from 'node:crypto';
import { Problem, ROLLED_BACK_ANNOTATION } from '@corral/contracts';
import type { resources } from '@corral/client';
import type { Command } from 'commander';
import type { Invocation } from '../invocation.ts';
import { conditionOf, describeCondition, isReady } from '../conditions.ts';
import { hasFailed, waitUntilReady } from '../machine-start.ts';
import { printMachines } from '../machines.ts';
import { parseOutputFormat, type OutputFormat } from '../output.ts';
import { wholeNumber } from '../pairs.ts';
import { ask } from '../question.ts';
import { UsageError } from '../usage-error.ts';
import { takeSnapshot } from './snapshot.ts';

interface RollbackOptions {
  readonly keep?: string | true;
  readonly discard?: true;
  readonly wait: boolean;
  readonly timeout: number;
  readonly output?: OutputFormat;
}

export function addRollback(program: Command, invocation: Invocation): void {
  program
    .command('rollback')
    .summary('take a machine back to a snapshot')
    .description(
      'Takes a machine back to a snapshot: its memory and disk go on from there, and what it has done since is given up. With --keep a snapshot of how it is now is taken first; without it you are asked. The snapshot may be one of the machine’s own, or of another of the same making.',
    )
    .argument('<machine>', 'name of the machine')
    .argument('<snapshot>', 'name of the snapshot (kubectl get vmsnaps lists them)')
    .option('--keep [name]', 'take a snapshot of how it is now first (default: named after the machine)')
    .option('--discard', 'do not; what it has done since is gone')
    .option('--no-wait', 'do not wait until it answers again')
    .option('--timeout <seconds>', 'how long to wait', wholeNumber(1, 86_400), 300)
    .option('-o, --output <format>', 'json, yaml, wide or name', parseOutputFormat)
    .addHelpText('after', '\nExamples:\n  corral rollback demo before-upgrade --keep\n  corral rollback demo demo-checkpoint-tn1x2c --discard')
    .action(async (machine: string, snapshot: string, options: RollbackOptions) => {
      if (options.keep !== undefined && options.discard) throw new UsageError('--keep and --discard say the opposite: give one of them');
      const { client, namespace } = await invocation.session();
      const vm = await client.virtualMachines.get(namespace, machine);
      if (!vm) throw new Problem('object.not-found', `virtualmachines.corral.dev "${machine}" not found`);
      const timeoutMs = options.timeout * 1_000;
      const rollBack = (dryRun: boolean): Promise<resources.VirtualMachine> =>
        client.virtualMachines.patch(namespace, machine, rollbackPatch(vm, snapshot), dryRun ? { dryRun } : {});
      // What cannot be is refused before anything is asked, or taken.
      await rollBack(true);
      const keepAs = await keptName(vm, machine, snapshot, options, invocation);
      if (keepAs !== undefined) await takeSnapshot(client, { namespace, machine, name: keepAs, timeoutMs }, invocation);
      const told = await rollBack(false);
      const isAwaited = options.wait && told.spec.powerState !== 'Stopped';
      printMachines(invocation, [isAwaited ? await ready() : told], options.output, `rolled back to ${snapshot}`);

      async function ready(): Promise<resources.VirtualMachine> {
        const step = invocation.screen.step(`${machine}: going back to ${snapshot}`);
        try {
          const back = await waitUntilReady(client.virtualMachines, { namespace, name: machine }, { timeoutMs, signal: invocation.signal, step, isOver: (seen) => hasFailed(seen) || seen.status?.phase === 'Paused' });
          const condition = conditionOf(back, 'Ready');
          if (!isReady(back) && back.status?.phase !== 'Paused') throw new Problem('vm.not-running', `${machine} did not go on: ${condition ? describeCondition(condition) : 'no reason was given'}`);
          step.done(`${machine} goes on from ${snapshot}`);
          return back;
        } catch (error) {
          step.fail(`${machine} did not go on from ${snapshot}`);
          throw error;
        }
      }
    });
}

/** The whole source, so that nothing else of it stays; and a new word, so that the same snapshot can be gone back to again. */
export function rollbackPatch({ spec }: Pick<resources.VirtualMachine, 'spec'>, snapshot: string, now = new Date()): object {
  const others = Object.fromEntries(Object.keys(spec.source).map((field) => [field, null]));
  return { metadata: { annotations: { [ROLLED_BACK_ANNOTATION]: now.toISOString() } }, spec: { source: { ...others, snapshot } } };
}

/** Under which name to keep how it is now; undefined to give it up. */
async function keptName({ status }: resources.VirtualMachine, machine: string, snapshot: string, { keep, discard }: RollbackOptions, invocation: Invocation): Promise<string | undefined> {
  const made = `${machine}-${randomBytes(3).toString('hex')}`;
  if (keep !== undefined) return keep === true ? made : keep;
  const hasMemory = status?.phase === 'Running' || status?.phase === 'Paused';
  if (discard || !hasMemory) return undefined;
  const answer = await ask(`${machine} goes back to ${snapshot}; what it has done since is given up.\nTake a snapshot of how it is now first? [Y]es, [n]o, [c]ancel: `, ['y', 'n', 'c'], invocation);
  if (answer === undefined) throw new UsageError('what the machine has done since is given up: say --keep to take a snapshot of it first, or --discard');
  if (answer === 'c') throw new UsageError('nothing was changed');
  return answer === 'y' ? made : undefined;
}
