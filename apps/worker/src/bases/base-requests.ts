import { rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { BASE_IS_WHOLE } from '@corral/memory';

/** What is asked about a base that is still being filled. */
export interface RequestedBase {
  /** One bit per page, in words of 32: whether it is other than zero, now or later. */
  readonly held: Uint32Array;
  /** Likewise: whether it is there. */
  readonly there: Uint32Array;
  readonly whole: Promise<void>;
  /** Calls `told` with pages as they come to be there. Answers how to end that. */
  onPages(told: (pages: Uint32Array) => void): () => void;
  /** Has the page come before others. Rejects where it does not come. */
  page(number: number): Promise<void>;
}

/**
 * Answers the pagers of machines that run on a base which is not whole yet, as libs/memory/src/base-pager/base-pager.protocol.ts says. A base
 * that cannot be made ends every connection: whoever runs on it has to die.
 */
export class BaseRequests {
  readonly path: string;
  readonly #base: RequestedBase;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(path: string, base: RequestedBase) {
    this.path = path;
    this.#base = base;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async listen(path: string, base: RequestedBase): Promise<BaseRequests> {
    const requests = new BaseRequests(path, base);
    await rm(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      requests.#server.once('error', reject);
      requests.#server.listen(path, resolve);
    });
    // Once the base is whole, whoever comes late is told so.
    base.whole.catch(() => requests.close());
    return requests;
  }

  /** Ends every connection. */
  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    // It went away: nobody waits any more.
    socket.on('error', () => socket.destroy());
    const { held, there } = this.#base;
    socket.write(numbers([held.length, ...held, ...there]));
    const stop = this.#base.onPages((pages) => socket.write(numbers(pages)));
    socket.on('close', stop);
    let rest = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      const bytes = Buffer.concat([rest, chunk]);
      const whole = bytes.length - (bytes.length % 4);
      rest = bytes.subarray(whole);
      for (let at = 0; at < whole; at += 4) this.#bring(socket, bytes.readUInt32LE(at));
    });
    this.#base.whole.then(
      () => tellWhole(socket),
      () => socket.destroy(),
    );
  }

  #bring(socket: Socket, page: number): void {
    // Whoever asked hears of it with all others.
    this.#base.page(page).catch(() => socket.destroy());
  }
}

function tellWhole(socket: Socket): void {
  socket.write(numbers([BASE_IS_WHOLE]));
}

function numbers(values: ArrayLike<number>): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (let at = 0; at < values.length; at += 1) bytes.writeUInt32LE(values[at] ?? 0, at * 4);
  return bytes;
}
