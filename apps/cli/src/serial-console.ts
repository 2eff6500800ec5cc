import type { MachineClient } from '@corral/client';
import { Problem } from '@corral/contracts';
import { once } from 'node:events';
import type { Invocation } from './invocation.ts';
import { ESCAPE_BYTE, takeKeys } from './terminal.ts';

const REPLAY_BYTES = 16 * 1024;

/** Joins the caller's terminal to the machine's serial line until they press Ctrl-], or the line goes. */
export async function attachSerial(machine: MachineClient, name: string, invocation: Invocation): Promise<void> {
  const { screen, stdout, signal } = invocation;
  const socket = await machine.serial(REPLAY_BYTES);
  screen.line(`Connected to ${name}. Leave with Ctrl-].`);
  let hasLeft = false;
  const leave = (): void => {
    hasLeft = true;
    socket.close();
  };
  socket.on('message', (bytes: Buffer) => void stdout.write(bytes));
  signal.addEventListener('abort', leave, { once: true });
  const keys = takeKeys(
    invocation,
    (bytes) => {
      const escape = bytes.indexOf(ESCAPE_BYTE);
      const typed = escape === -1 ? bytes : bytes.subarray(0, escape);
      if (typed.length > 0) socket.send(typed);
      if (escape !== -1) leave();
    },
    leave,
  );
  try {
    // An error ends in a close as well.
    socket.on('error', () => undefined);
    await once(socket, 'close');
  } finally {
    keys.release();
    signal.removeEventListener('abort', leave);
  }
  screen.line('');
  if (!hasLeft) throw new Problem('dependency.unavailable', `The serial line of ${name} ended: the machine stopped, or the connection broke`);
}
