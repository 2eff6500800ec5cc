import { connect } from 'node:net';
import { BASE_IS_WHOLE, SnapshotError } from '@corral/memory';

/** Resolves when every page of a base is there: for machines that cannot run before. Throws SnapshotError where it cannot be had. */
export function untilWhole(requestsPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(requestsPath);
    let toSkip: number | undefined;
    let rest = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      const bytes = Buffer.concat([rest, chunk]);
      let at = 0;
      for (; at + 4 <= bytes.length; at += 4) {
        const value = bytes.readUInt32LE(at);
        if (toSkip === undefined) toSkip = 2 * value;
        else if (toSkip > 0) toSkip -= 1;
        else if (value === BASE_IS_WHOLE) {
          resolve();
          socket.destroy();
        }
      }
      rest = bytes.subarray(at);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => reject(new SnapshotError('SnapshotUnreadable', 'the base could not be fetched')));
  });
}
