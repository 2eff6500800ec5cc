import type { MachineClient } from '@corral/client';
import type { Invocation } from './invocation.ts';
import { followSize, takeKeys } from './terminal.ts';

export interface RemoteCommand {
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly tty: boolean;
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/** Runs a command in a guest with the caller's streams; answers its exit code. */
export async function runRemotely(machine: MachineClient, { command, stdin, tty, cwd, env }: RemoteCommand, invocation: Invocation): Promise<number> {
  const { stdout, stderr, signal } = invocation;
  const stream = await machine.stream(
    { command, stdin, tty, ...(cwd === undefined ? {} : { cwd }), ...(env === undefined ? {} : { env }) },
    { stdout: (bytes) => void stdout.write(bytes), stderr: (bytes) => void stderr.write(bytes) },
  );
  const leave = (): void => stream.close();
  signal.addEventListener('abort', leave, { once: true });
  const stopSize = tty ? followSize(invocation, (size) => stream.resize(size)) : undefined;
  const keys = stdin
    ? takeKeys(
        invocation,
        (bytes) => {
          invocation.stdin.pause();
          void stream.write(bytes).then(() => invocation.stdin.resume());
        },
        () => stream.endInput(),
      )
    : undefined;
  try {
    return await stream.exitCode;
  } finally {
    keys?.release();
    stopSize?.();
    signal.removeEventListener('abort', leave);
    stream.close();
  }
}
