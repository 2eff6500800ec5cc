import { createWriteStream, type WriteStream } from 'node:fs';
import { type Readable } from 'node:stream';

const TAIL_BYTES = 16 * 1024;

/**
 * What a process writes to stdout and stderr: its last few kilobytes in memory and, once it belongs to a machine, its first
 * megabyte in a file. What comes after is counted and dropped: a guest must not be able to fill the node's disk through it.
 */
export class BoundedLog {
  readonly #maxBytes: number;
  #tail = Buffer.alloc(0);
  #file: WriteStream | undefined;
  #writtenBytes = 0;

  constructor(maxBytes = 1024 * 1024) {
    this.#maxBytes = maxBytes;
  }

  follow(stream: Readable): void {
    stream.on('data', (chunk: Buffer) => this.#append(chunk));
    stream.on('error', () => undefined);
  }

  /** Writes what there is and what comes to a new file at `path`. */
  writeTo(path: string): void {
    this.#file = createWriteStream(path, { mode: 0o600 });
    this.#file.on('error', () => (this.#file = undefined));
    this.#write(this.#tail);
  }

  close(): void {
    this.#file?.end();
    this.#file = undefined;
  }

  /** The last lines, for the log of the agent when the process ended badly. */
  get tail(): string {
    return this.#tail.toString('utf8');
  }

  #append(chunk: Buffer): void {
    this.#tail = Buffer.concat([this.#tail, chunk]).subarray(-TAIL_BYTES);
    this.#write(chunk);
  }

  #write(chunk: Buffer): void {
    if (!this.#file || this.#writtenBytes >= this.#maxBytes) return;
    const part = chunk.subarray(0, this.#maxBytes - this.#writtenBytes);
    this.#writtenBytes += part.length;
    this.#file.write(part);
  }
}
