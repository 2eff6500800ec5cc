import { once } from 'node:events';
import { get as httpGet, Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { get as httpsGet, Agent as HttpsAgent } from 'node:https';
import { connect, type Socket } from 'node:net';
import { jest } from '@jest/globals';
import WebSocket from 'ws';
import { ADMIN_TOKEN, startApi, type ApiFixture } from '../../testing/api-fixture.ts';

jest.setTimeout(60_000);

const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
const WITHIN_MS = 2_000;

let api: ApiFixture;
beforeAll(async () => {
  api = await startApi();
}, 60_000);
afterAll(() => api.stop());

/** A connection that stays open between requests, over HTTP or HTTPS. */
async function open(path: string, secure: boolean): Promise<IncomingMessage> {
  const url = `${secure ? api.url.replace('http:', 'https:') : api.url}${path}`;
  const request = secure ? httpsGet(url, { headers, ca: api.certificate, agent: new HttpsAgent({ keepAlive: true }) }) : httpGet(url, { headers, agent: new HttpAgent({ keepAlive: true }) });
  request.on('error', () => undefined);
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  return answer.on('error', () => undefined);
}

async function raw(text: string): Promise<Socket> {
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}

const live = async (): Promise<WebSocket> => {
  const socket = new WebSocket(`${api.url.replace('http', 'ws')}/live`, { headers });
  await once(socket, 'open');
  return socket;
};

/** How long the server takes to stop, in milliseconds. */
async function stopAndStart(): Promise<number> {
  const began = Date.now();
  await api.app.close();
  const tookMs = Date.now() - began;
  await api.restart();
  return tookMs;
}

/** What a client may be doing when the server is told to stop. */
const CLIENTS: readonly [string, () => Promise<unknown>][] = [
  ...[false, true].flatMap((secure): [string, () => Promise<unknown>][] => {
    const over = secure ? 'HTTPS' : 'HTTP';
    return [
      [`an idle connection over ${over}`, async () => (await open('/readyz', secure)).resume()],
      [`a watch over ${over}`, async () => (await open('/api/v1/namespaces?watch=true', secure)).resume()],
      [`a watch over ${over} that nobody reads`, () => open('/api/v1/namespaces?watch=true', secure)],
      [`an answer over ${over} that nobody reads`, () => open('/openapi/v3', secure)],
    ];
  }),
  ['half a request', () => raw('GET /readyz HTTP/1.1\r\nHost: x\r\n')],
  ['half a TLS handshake', () => raw('\x16\x03\x01')],
  ['a connection that says nothing', () => raw('')],
  ['/live', live],
  ['/live of a client that does not answer', async () => (await live()).pause()],
];

it.each(CLIENTS)('stops within 2 s with %s', async (_what, connectClient) => {
  await connectClient();
  expect(await stopAndStart()).toBeLessThan(WITHIN_MS);
});

it('stops within 2 s with all of them, and lets a request under way have its answer', async () => {
  for (const [, connectClient] of CLIENTS) await connectClient();
  const wait = api.request('GET', '/api/v1/namespaces/default/wait?for=delete&timeoutSeconds=30');
  // Its subscription has begun once something that came later has been answered.
  await api.request('GET', '/api/v1/namespaces/default');
  expect(await stopAndStart()).toBeLessThan(WITHIN_MS);
  expect((await wait).status).toBe(503);
});
