import { connect } from 'node:net';
import { negotiate, readWatchRequest, Selection } from '@corral/api-machinery';
import { leases, type KindDefinition, type KubeObject, type Lease } from '@corral/contracts';
import { until } from '@corral/testing';
import Fastify from 'fastify';
import { RequestMetrics } from '../../platform/telemetry/request-metrics.ts';
import { ADMIN_TOKEN, startApi, type ApiFixture } from '../../testing/api-fixture.ts';
import { streamWatch } from './watch-stream.ts';
import type { Watches, WatchItem } from './watches.ts';

const KIND: KindDefinition = leases;
const LEASES = '/apis/coordination.k8s.io/v1/namespaces/default/leases';

describe('a watch whose client stops reading', () => {
  it('is cut off, and takes no more than its socket holds meanwhile', async () => {
    let told = 0;
    const padding = 'x'.repeat(64 * 1024);
    const watches = {
      async *watch(): AsyncGenerator<WatchItem> {
        for (;;) {
          told += 1;
          const object = { apiVersion: 'v1', kind: 'Lease', metadata: { name: `lease-${told}`, annotations: { padding } } } as unknown as KubeObject;
          yield await Promise.resolve({ type: 'Event', event: { type: 'ADDED', object } });
        }
      },
    } as unknown as Watches;
    const metrics = new RequestMetrics();
    const server = Fastify({ forceCloseConnections: true });
    let ended: Promise<void> | undefined;
    server.get('/watch', (request, reply) => {
      ended = streamWatch(watches, metrics, new Selection(KIND, {}), readWatchRequest(() => undefined), negotiate(undefined), request, reply, 200);
      return reply;
    });
    const url = new URL(await server.listen({ port: 0, host: '127.0.0.1' }));
    const client = connect(Number(url.port), url.hostname);
    try {
      client.pause();
      client.write('GET /watch HTTP/1.1\r\nhost: localhost\r\n\r\n');
      await until(() => ended !== undefined, { timeoutMs: 10_000, what: 'the watch' });
      await ended;
    } finally {
      client.destroy();
      await server.close();
    }
    // Kernels buffer some megabytes for a connection on one machine.
    expect(told).toBeLessThan(400);
    expect(await metrics.registry.getSingleMetricAsString('apiserver_longrunning_requests')).toMatch(/} 0$/);
  }, 30_000);
});

describe('over the wire', () => {
  let api: ApiFixture;
  beforeAll(async () => {
    api = await startApi();
  }, 60_000);
  afterAll(() => api.stop());

  const create = (name: string): Promise<Lease> => api.client.create(leases, { metadata: { name, namespace: 'default' }, spec: { holderIdentity: 'ä – a name in Unicode' } });

  /** Everything an answer's body holds so far, as it comes. */
  async function read(version: 'HTTP/1.0' | 'HTTP/1.1') {
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.write(`GET ${LEASES}?watch=true&timeoutSeconds=2&allowWatchBookmarks=true ${version}\r\nhost: localhost\r\nauthorization: Bearer ${ADMIN_TOKEN}\r\nconnection: close\r\n\r\n`);
    const text = () => Buffer.concat(chunks).toString();
    await until(() => text().includes('\r\n\r\n'), { timeoutMs: 10_000, what: 'the head of the answer' });
    return { text, closed };
  }

  const unchunked = (body: string): string => {
    let [rest, content] = [Buffer.from(body), ''];
    for (;;) {
      const end = rest.indexOf('\r\n');
      const size = Number.parseInt(rest.toString('latin1', 0, end), 16);
      if (!(size > 0)) return content;
      content += rest.toString('utf8', end + 2, end + 2 + size);
      rest = rest.subarray(end + 2 + size + 2);
    }
  };

  it.each(['HTTP/1.1', 'HTTP/1.0'] as const)('gives the same events, each on its line, to a client of %s', async (version) => {
    const [first, second] = [await create(`before-${version.slice(-1)}`), `after-${version.slice(-1)}`];
    const { text, closed } = await read(version);
    await until(() => text().includes(first.metadata.name), { timeoutMs: 10_000, what: 'what exists' });
    const written = await create(second);
    await closed;
    const body = text().slice(text().indexOf('\r\n\r\n') + 4);
    const lines = (version === 'HTTP/1.1' ? unchunked(body) : body).trimEnd().split('\n').map((line) => JSON.parse(line) as { type: string; object: KubeObject });
    // One bookmark, two seconds before the end: here at once after what existed.
    expect(lines.filter(({ type }) => type !== 'ADDED').map(({ type }) => type)).toEqual(['BOOKMARK']);
    expect(lines.find(({ object }) => object.metadata.name === second)?.object).toEqual(written);
  }, 30_000);
});
