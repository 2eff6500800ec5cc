import type { Command } from 'commander';
import type { Invocation } from '../invocation.ts';
import { pairsOption } from '../pairs.ts';
import { runRemotely } from '../remote-command.ts';

interface ExecOptions {
  readonly stdin?: boolean;
  readonly tty?: boolean;
  readonly cwd?: string;
  readonly env: Readonly<Record<string, string>>;
}

export function addExec(program: Command, invocation: Invocation): void {
  program
    .command('exec')
    .summary('run a command in a machine')
    .description('Runs a command in a running machine and exits with its exit code.')
    .argument('<machine>', 'name of the machine')
    .argument('<command...>', 'program and arguments')
    .option('-i, --stdin', 'pass stdin to the command')
    .option('-t, --tty', 'give the command a terminal')
    .option('--cwd <path>', 'directory in the guest')
    .addOption(pairsOption('-e, --env <name=value>', 'set a variable'))
    .showHelpAfterError('(options of the command itself come after --, as in: corral exec demo -- ls -l)')
    .addHelpText('after', '\nExamples:\n  corral exec demo -- uname -a\n  corral exec demo -it -- sh\n  tar c . | corral exec demo -i -- tar x -C /srv')
    .action(async (machine: string, command: string[], options: ExecOptions) => {
      const { client, namespace } = await invocation.session();
      const tty = (options.tty ?? false) && invocation.stdin.isTTY === true;
      const remote = { command, stdin: options.stdin ?? false, tty, cwd: options.cwd, env: options.env };
      invocation.exitWith(await runRemotely(client.machine(namespace, machine), remote, invocation));
    });
}
