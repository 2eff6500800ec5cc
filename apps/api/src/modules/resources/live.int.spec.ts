import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { jest } from '@jest/globals';
import { virtualMachines, type KindDefinition } from '@corral/contracts';
import { until } from '@corral/testing';
import WebSocket, { WebSocketServer } from 'ws';
import { ADMIN_TOKEN, startApi, type ApiFixture } from '../../testing/api-fixture.ts';
import { PacedSocket } from './paced-socket.ts';

jest.setTimeout(120_000);

interface Message {
  readonly id?: number;
  readonly type: string;
}

describe('/live', () => {
  const MACHINES = 3_000;
  let api: ApiFixture;
  beforeAll(async () => {
    api = await startApi();
    // 20 MiB altogether.
    const annotations = { filling: 'x'.repeat(7 * 1024) };
    const create = (index: number): Promise<unknown> =>
      api.client.create(virtualMachines as KindDefinition, { metadata: { namespace: 'default', name: `vm-${index}`, annotations }, spec: { source: { image: 'linux-minimal' } } });
    for (let next = 0; next < MACHINES; next += 50) await Promise.all(Array.from({ length: 50 }, (_, index) => create(next + index)));
  }, 120_000);
  afterAll(() => api.stop());

  it('sends a list of thousands to a client that reads on, without cutting it off', async () => {
    const socket = new WebSocket(`${api.url.replace('http', 'ws')}/live`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });
    const counts = new Map<string, number>();
    let closed: number | undefined;
    socket.on('close', (code) => (closed = code));
    socket.on('message', (data: Buffer) => {
      const { id, type } = JSON.parse(data.toString()) as Message;
      counts.set(`${type} ${id ?? ''}`, (counts.get(`${type} ${id ?? ''}`) ?? 0) + 1);
    });
    await once(socket, 'open');
    // Longer than the sockets' own buffers hold.
    const watch = (id: number): void => socket.send(JSON.stringify({ id, type: 'watch', path: '/apis/corral.dev/v1/virtualmachines' }));
    watch(1);
    watch(2);
    socket.pause();
    expect((await api.request('GET', '/apis/corral.dev/v1/virtualmachines?limit=1')).status).toBe(200);
    socket.resume();
    await until(() => closed !== undefined || (counts.has('BOOKMARK 1') && counts.has('BOOKMARK 2')), { timeoutMs: 60_000, what: 'the end of both lists' });
    expect([closed, counts.get('ADDED 1'), counts.get('ADDED 2')]).toEqual([undefined, MACHINES, MACHINES]);
    socket.close();
  });
});

describe('PacedSocket', () => {
  const http = createServer();
  const server = new WebSocketServer({ server: http });
  beforeAll(async () => {
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
  });
  afterAll(() => {
    server.close();
    http.close();
  });

  /** Both ends of a connection. */
  async function connect(): Promise<{ here: WebSocket; there: WebSocket }> {
    const there = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`);
    const [here] = (await once(server, 'connection')) as [WebSocket];
    if (there.readyState !== WebSocket.OPEN) await once(there, 'open');
    return { here, there };
  }
  const message = { filling: 'x'.repeat(64 * 1024) };

  it('keeps little in memory for a client that reads slowly, and loses nothing', async () => {
    const { here, there } = await connect();
    let received = 0;
    there.on('message', () => {
      received += 1;
      there.pause();
      setImmediate(() => there.resume());
    });
    const paced = new PacedSocket(here);
    let most = 0;
    for (let sent = 0; sent < 500; sent += 1) {
      await paced.send(message);
      most = Math.max(most, here.bufferedAmount);
    }
    await until(() => received === 500, { timeoutMs: 30_000, what: 'all messages' });
    expect(most).toBeLessThan(512 * 1024);
    there.close();
  });

  it('cuts off a client that stops reading, and then says nothing more', async () => {
    const { here, there } = await connect();
    there.pause();
    const paced = new PacedSocket(here, 200);
    let sent = 0;
    for (; here.readyState === WebSocket.OPEN; sent += 1) await paced.send(message);
    expect(sent * 64).toBeLessThan(64 * 1024);
    await paced.send(message);
    there.terminate();
  });
});
