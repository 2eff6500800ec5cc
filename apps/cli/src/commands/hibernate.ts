import { Problem } from '@corral/contracts';
import type { resources } from '@corral/client';
import type { Command } from 'commander';
import { conditionOf, describeCondition, isReady } from '../conditions.ts';
import type { Invocation } from '../invocation.ts';
import { hasFailed, waitUntilReady } from '../machine-start.ts';
import { printMachines } from '../machines.ts';
import { parseOutputFormat, type OutputFormat } from '../output.ts';
import { wholeNumber } from '../pairs.ts';

interface SleepOptions {
  readonly wait: boolean;
  readonly timeout: number;
  readonly output?: OutputFormat;
}

type VirtualMachine = resources.VirtualMachine;

/** One of the two ways. */
interface Turn {
  readonly doing: string;
  readonly done: string;
  readonly failed: string;
  ask(): Promise<VirtualMachine>;
  isThere(vm: VirtualMachine): boolean;
}

const isAsleep = ({ status }: VirtualMachine): boolean => status?.phase === 'Hibernated';

export function addHibernate(program: Command, invocation: Invocation): void {
  addTurn(program, invocation, 'hibernate', {
    summary: 'write a machine out whole and end its process',
    description:
      'Writes a machine out whole, memory and all, and ends its process: it takes no memory of its node any more. It wakes up where it was, by itself, when somebody uses it: exec, cp, console, typing on its screen; or by corral wake. spec.idlePolicy does this to machines that nobody uses.',
    example: 'corral hibernate demo',
    turn: (machine) => (client, namespace) => ({
      doing: `${machine}: writing it out`,
      done: `${machine} hibernates`,
      failed: `${machine} does not hibernate`,
      ask: () => client.machine(namespace, machine).hibernate(),
      isThere: isAsleep,
    }),
  });
}

export function addWake(program: Command, invocation: Invocation): void {
  addTurn(program, invocation, 'wake', {
    summary: 'wake a machine that hibernates',
    description: 'Wakes a machine that hibernates, and waits until it answers. One that is awake is left alone.',
    example: 'corral wake demo',
    turn: (machine) => (client, namespace) => ({
      doing: `${machine}: waking up`,
      done: `${machine} is awake`,
      failed: `${machine} did not wake up`,
      ask: () => client.machine(namespace, machine).wake(),
      isThere: (vm) => vm.status?.hibernation === undefined && (isReady(vm) || vm.status?.phase === 'Paused'),
    }),
  });
}

interface Wording {
  readonly summary: string;
  readonly description: string;
  readonly example: string;
  turn(machine: string): (client: Awaited<ReturnType<Invocation['session']>>['client'], namespace: string) => Turn;
}

function addTurn(program: Command, invocation: Invocation, name: string, { summary, description, example, turn }: Wording): void {
  program
    .command(name)
    .summary(summary)
    .description(description)
    .argument('<machine>', 'name of the machine')
    .option('--no-wait', 'do not wait until it does')
    .option('--timeout <seconds>', 'how long to wait', wholeNumber(1, 86_400), 300)
    .option('-o, --output <format>', 'json, yaml, wide or name', parseOutputFormat)
    .addHelpText('after', `\nExamples:\n  ${example}`)
    .action(async (machine: string, options: SleepOptions) => {
      const { client, namespace } = await invocation.session();
      const { doing, done, failed, ask, isThere } = turn(machine)(client, namespace);
      const asked = await ask();
      if (!options.wait) return printMachines(invocation, [asked], options.output, name === 'wake' ? 'waking' : 'hibernating');
      const step = invocation.screen.step(doing);
      try {
        const isOver = (vm: VirtualMachine): boolean => isThere(vm) || hasFailed(vm) || isRefused(vm);
        const there = isThere(asked) ? asked : await waitUntilReady(client.virtualMachines, { namespace, name: machine }, { timeoutMs: options.timeout * 1_000, signal: invocation.signal, step, isOver, isEnough: isThere });
        if (!isThere(there)) {
          const condition = conditionOf(there, 'Hibernated') ?? conditionOf(there, 'Ready');
          throw new Problem('vm.not-running', `${failed}: ${condition ? describeCondition(condition) : 'no reason was given'}`);
        }
        step.done(done);
        printMachines(invocation, [there], options.output, name === 'wake' ? 'awake' : 'hibernated');
      } catch (error) {
        step.fail(failed);
        throw error;
      }
    });
}

/** Its memory could not be kept, so it runs on. */
const isRefused = (vm: VirtualMachine): boolean => vm.status?.hibernation === undefined && conditionOf(vm, 'Hibernated')?.reason === 'HibernationFailed';
