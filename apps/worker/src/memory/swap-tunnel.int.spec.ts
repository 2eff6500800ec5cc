import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server } from 'node:tls';
import { startRedis, type EmbeddedRedis } from '@corral/embedded';
import { redisAddress } from '@corral/memory';
import { Redis } from 'ioredis';
import { generate } from 'selfsigned';
import { SwapTunnel } from './swap-tunnel.ts';

let home: string;
let redis: EmbeddedRedis;
let front: Server;
let certificate: string;
let url: URL;

/** A Redis that is reached by TLS, as providers have it. */
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'corral-tunnel-'));
  redis = await startRedis({ home });
  const made = await generate([{ name: 'commonName', value: 'swap' }], { keyType: 'ec', extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }] });
  certificate = made.cert;
  const port = Number(new URL(redis.url).port);
  front = createServer({ cert: made.cert, key: made.private }, (socket) => {
    const server = connect(port, '127.0.0.1');
    pipeline(socket, server, socket, () => undefined);
  });
  front.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  url = new URL(redis.url.replace('redis:', 'rediss:'));
  url.host = `localhost:${(front.address() as AddressInfo).port}`;
  url.pathname = '/3';
});
afterAll(async () => {
  await new Promise((resolve) => front.close(resolve));
  await redis.stop();
  await rm(home, { recursive: true, force: true });
});

/** As the pager understands the URL it is given. */
async function behind(tunnel: SwapTunnel): Promise<Redis> {
  const { host, password, database } = await redisAddress(tunnel.url, () => Promise.reject(new Error('a path needs no looking up')));
  return new Redis({ path: host, db: database, retryStrategy: () => null, maxRetriesPerRequest: 0, ...(password === undefined ? {} : { password }) });
}

describe('a tunnel to a swap Redis that is reached by TLS', () => {
  it('leads to its database, with its password', async () => {
    const tunnel = await SwapTunnel.open(url.href, join(home, 'good'), { ca: certificate });
    const [inside, outside] = [await behind(tunnel), new Redis(redis.url.replace(/0$/, '3'))];
    try {
      await inside.hset('corral:swap:a:1:0', '0', 'page');
      expect(await outside.hget('corral:swap:a:1:0', '0')).toBe('page');
    } finally {
      for (const client of [inside, outside]) client.disconnect();
      await tunnel.close();
    }
  });

  it('hangs up where the server’s certificate is not to be trusted', async () => {
    const tunnel = await SwapTunnel.open(url.href, join(home, 'bad'));
    const inside = await behind(tunnel);
    inside.on('error', () => undefined);
    try {
      await expect(inside.ping()).rejects.toThrow();
    } finally {
      inside.disconnect();
      await tunnel.close();
    }
  });

  it('is opened again where an earlier one was left', async () => {
    const path = join(home, 'again');
    await SwapTunnel.open(url.href, path, { ca: certificate }).then((left) => left.close());
    const tunnel = await SwapTunnel.open(url.href, path, { ca: certificate });
    await tunnel.close();
  });
});
