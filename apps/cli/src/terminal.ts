import type { TerminalSize } from '@corral/client';

/** The caller's end: where keys come from and text goes to. */
export interface Terminal {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

/** Ctrl-]: what telnet, virsh and every serial console leave with. */
export const ESCAPE_BYTE = 0x1d;

/**
 * Takes keys as they are pressed, Ctrl-C included, and hands them over; `release` gives the terminal back. Where stdin is
 * no terminal its bytes are handed over all the same.
 */
export function takeKeys({ stdin }: Pick<Terminal, 'stdin'>, onBytes: (bytes: Buffer) => void, onEnd: () => void): { release(): void } {
  const isRaw = stdin.isTTY === true;
  if (isRaw) stdin.setRawMode(true);
  stdin.on('data', onBytes);
  stdin.on('end', onEnd);
  stdin.resume();
  return {
    release() {
      stdin.off('data', onBytes);
      stdin.off('end', onEnd);
      stdin.pause();
      if (isRaw) stdin.setRawMode(false);
    },
  };
}

/** Calls with the size now and after every change; returns how to stop that. */
export function followSize({ stdout }: Pick<Terminal, 'stdout'>, onSize: (size: TerminalSize) => void): () => void {
  const tell = (): void => onSize({ columns: stdout.columns, rows: stdout.rows });
  if (stdout.isTTY !== true) return () => undefined;
  tell();
  stdout.on('resize', tell);
  return () => stdout.off('resize', tell);
}
