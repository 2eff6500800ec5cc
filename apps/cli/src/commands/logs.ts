import { once } from 'node:events';
import type { Command } from 'commander';
import type { Invocation } from '../invocation.ts';

const REPLAY_BYTES = 1024 * 1024;

interface LogsOptions {
  readonly follow?: boolean;
  readonly tail?: number;
}

export function addLogs(program: Command, invocation: Invocation): void {
  program
    .command('logs')
    .summary("what a machine said on its serial console")
    .description("Prints what a machine said on its serial console lately: the kernel's messages and whatever was typed and answered there.")
    .argument('<machine>', 'name of the machine')
    .option('-f, --follow', 'go on as it says more, until Ctrl-C')
    .option('--tail <lines>', 'only so many of the last lines', Number)
    .action(async (name: string, options: LogsOptions) => {
      const { client, namespace } = await invocation.session();
      const machine = client.machine(namespace, name);
      if (!options.follow) {
        const text = Buffer.from(await machine.serialTail(invocation.signal)).toString('utf8');
        invocation.stdout.write(lastLines(text, options.tail));
        return;
      }
      const socket = await machine.serial(REPLAY_BYTES);
      let isFirst = true;
      socket.on('message', (bytes: Buffer) => {
        invocation.stdout.write(isFirst ? lastLines(bytes.toString('utf8'), options.tail) : bytes);
        isFirst = false;
      });
      socket.on('error', () => undefined);
      invocation.signal.addEventListener('abort', () => socket.close(), { once: true });
      await once(socket, 'close');
    });
}

/** The last lines of a text that may end with a line that is not complete yet. */
export function lastLines(text: string, count: number | undefined): string {
  if (count === undefined || Number.isNaN(count)) return text;
  const lines = text.split('\n');
  const kept = lines.at(-1) === '' ? count + 1 : count;
  return kept <= 0 ? '' : lines.slice(-kept).join('\n');
}
