import tab from '@bomb.sh/tab/commander';
import type { Command } from 'commander';
import type { Session } from './session.ts';

const DEADLINE_MS = 1_500;

/**
 * Adds `corral complete <shell>`, and answers a shell's question. Names of machines come from the server, asked before:
 * the library wants its answers at once. A server that does not answer in time completes nothing and disturbs nobody.
 */
export async function addCompletion(program: Command, args: readonly string[], session: () => Promise<Session>): Promise<void> {
  const completion = tab(program);
  const asked = args.indexOf('--');
  if (args[0] !== 'complete' || asked !== 1) return;
  const names = await machineNames(session).catch(() => []);
  for (const command of completion.commands.values()) {
    for (const [name, argument] of command.arguments) {
      if (name !== 'machine') continue;
      argument.handler = (complete) => {
        for (const machine of names) complete(machine, '');
      };
    }
  }
}

async function machineNames(session: () => Promise<Session>): Promise<readonly string[]> {
  const { client, namespace } = await session();
  const asked = client.virtualMachines.list({ namespace }).then(({ items }) => items.map(({ metadata }) => metadata?.name ?? ''));
  const late = new Promise<readonly string[]>((resolve) => setTimeout(() => resolve([]), DEADLINE_MS).unref());
  return Promise.race([asked, late]);
}
