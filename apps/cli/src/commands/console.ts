import type { Command } from 'commander';
import type { Invocation } from '../invocation.ts';
import { attachSerial } from '../serial-console.ts';

export function addConsole(program: Command, invocation: Invocation): void {
  program
    .command('console')
    .summary("join a machine's serial console")
    .description("Joins the terminal to a machine's serial console; needs no agent in the guest. Others may watch and type too. Leave with Ctrl-].")
    .argument('<machine>', 'name of the machine')
    .action(async (machine: string) => {
      const { client, namespace } = await invocation.session();
      await attachSerial(client.machine(namespace, machine), machine, invocation);
    });
}
