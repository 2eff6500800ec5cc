import { rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream';
import { connect, type ConnectionOptions } from 'node:tls';

const DEFAULT_PORT = 6379;

/**
 * A unix socket of this node behind which is a Redis that is reached by TLS. A VM process cannot speak TLS while its guest waits for a page:
 * Node's needs the event loop, which stands still then. Who cannot connect, or loses its peer, is hung up on, and so takes the durable copy.
 */
export class SwapTunnel {
  /** For VM processes, with the credentials and the database of the server's own URL. */
  readonly url: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #path: string;

  private constructor(url: URL, path: string, options: ConnectionOptions) {
    // A URL without a host cannot hold credentials; for a path, nobody asks for the host.
    const inside = new URL(`unix://tunnel${path}`);
    [inside.username, inside.password] = [url.username, url.password];
    inside.searchParams.set('db', url.pathname.slice(1) || '0');
    this.url = inside.href;
    this.#path = path;
    const host = url.hostname.replace(/^\[|\]$/g, '');
    this.#server = createServer((near) => {
      const far = connect({ host, port: Number(url.port) || DEFAULT_PORT, servername: host, ...options });
      far.setNoDelay(true);
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.once('close', () => this.#sockets.delete(socket));
      }
      // Either end's failure is the other's end, and all there is to say.
      pipeline(near, far, near, () => undefined);
    });
  }

  /** Whether a server's URL needs one. */
  static isNeededFor(url: string): boolean {
    return url.startsWith('rediss:');
  }

  /** Listens at `path`, which only this user may reach; what an earlier one left there is removed. Rejects where it cannot listen. */
  static async open(url: string, path: string, options: ConnectionOptions = {}): Promise<SwapTunnel> {
    await rm(path, { force: true });
    const tunnel = new SwapTunnel(new URL(url), path, options);
    await new Promise<void>((resolve, reject) => tunnel.#server.once('error', reject).listen(path, resolve));
    return tunnel;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    await rm(this.#path, { force: true });
  }
}
