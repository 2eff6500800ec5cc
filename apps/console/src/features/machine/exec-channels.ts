import type { Status } from '@corral/contracts';

/**
 * Channel framing of an interactive exec: each message is one byte of channel, then its payload.
 * Source: k8s.io/apimachinery/pkg/util/httpstream/wsstream and the v5.channel.k8s.io proposal (KEP-4006).
 */
export const EXEC_PROTOCOL = 'v5.channel.k8s.io';
const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const ERROR = 3;
const RESIZE = 4;

export type ExecMessage =
  | { readonly type: 'Output'; readonly bytes: Uint8Array }
  /** The command ended; `exitCode` is 0 for Success. */
  | { readonly type: 'Ended'; readonly exitCode: number | undefined; readonly message: string }
  | { readonly type: 'Other' };

const encoder = new TextEncoder();

export function stdinFrame(text: string): Uint8Array<ArrayBuffer> {
  return frame(STDIN, encoder.encode(text));
}

export function resizeFrame(columns: number, rows: number): Uint8Array<ArrayBuffer> {
  return frame(RESIZE, encoder.encode(JSON.stringify({ Width: columns, Height: rows })));
}

export function readFrame(message: Uint8Array): ExecMessage {
  const payload = message.subarray(1);
  switch (message[0]) {
    case STDOUT:
    case STDERR:
      return { type: 'Output', bytes: payload };
    case ERROR:
      return readEnd(new TextDecoder().decode(payload));
    default:
      return { type: 'Other' };
  }
}

/** The Status at the end says Success, or has the exit code as its cause. */
function readEnd(text: string): ExecMessage {
  let status: Partial<Status>;
  try {
    status = JSON.parse(text) as Partial<Status>;
  } catch {
    return { type: 'Ended', exitCode: undefined, message: text };
  }
  if (status.status === 'Success') return { type: 'Ended', exitCode: 0, message: '' };
  const exitCode = Number(status.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message);
  return { type: 'Ended', exitCode: Number.isInteger(exitCode) ? exitCode : undefined, message: status.message ?? '' };
}

function frame(channel: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(payload.length + 1);
  bytes[0] = channel;
  bytes.set(payload, 1);
  return bytes;
}
