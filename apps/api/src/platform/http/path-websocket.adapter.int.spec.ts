import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect as connectSocket } from 'node:net';
import { jest } from '@jest/globals';
import { Problem, type Status } from '@corral/contracts';
import { until } from '@corral/testing';
import { Module } from '@nestjs/common';
import { WebSocketGateway, type OnGatewayConnection, type OnGatewayDisconnect, type OnGatewayInit } from '@nestjs/websockets';
import WebSocket from 'ws';
import { ADMIN_TOKEN, startApi, type ApiFixture } from '../../testing/api-fixture.ts';
import type { GatewayOptions, GatewayServer, UpgradeRequest } from './gateway-server.ts';

const disconnected: string[] = [];

/** Admits rooms, all but the closed ones, and tells its clients where they are. */
@WebSocketGateway<GatewayOptions>({ path: '/apis/rooms.test/v1/namespaces/:room/seats/:seat', maxMessageBytes: 16 })
class RoomGateway implements OnGatewayInit<GatewayServer<string>>, OnGatewayConnection<WebSocket>, OnGatewayDisconnect<WebSocket> {
  afterInit(server: GatewayServer<string>): void {
    server.admitWith(async ({ params }) => {
      if (params['room'] === 'closed') throw new Problem('vm.not-running', 'the room is closed');
      if (params['room'] === 'broken') throw new Error('a secret');
      return `admitted to ${params['room']}`;
    });
  }

  handleConnection(client: WebSocket, { params, query }: UpgradeRequest, admitted: string): void {
    client.send(`${admitted}, seat ${params['seat']}, ${query.get('as')}`);
    client.on('message', (data, binary) => client.send(data, { binary }));
  }

  handleDisconnect(): void {
    disconnected.push('left');
  }
}

@Module({ providers: [RoomGateway] })
class RoomModule {}

jest.setTimeout(60_000);

let api: ApiFixture;
beforeAll(async () => {
  api = await startApi({ imports: [RoomModule] });
  api.app.useLogger(false);
}, 60_000);
afterAll(() => api.stop());

const connect = (path: string): WebSocket => new WebSocket(`${api.url.replace('http', 'ws')}${path}`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });

async function firstMessage(client: WebSocket): Promise<string> {
  const [data] = (await once(client, 'message')) as [Buffer];
  return data.toString();
}

async function refusal(path: string): Promise<{ code: number | undefined; status: Status }> {
  const client = connect(path);
  client.on('error', () => undefined);
  const [, answer] = (await once(client, 'unexpected-response')) as [unknown, IncomingMessage];
  return { code: answer.statusCode, status: JSON.parse(Buffer.concat(await answer.toArray()).toString()) as Status };
}

it('gives a gateway the names of its path, the query and what was admitted before the handshake', async () => {
  const client = connect('/apis/rooms.test/v1/namespaces/a%20b/seats/7?as=guest');
  expect(await firstMessage(client)).toBe('admitted to a b, seat 7, guest');
  client.close();
  await until(() => disconnected.length === 1, { timeoutMs: 5_000, what: 'the gateway to hear of it' });
});

it.each([
  ['an admission that says no', '/apis/rooms.test/v1/namespaces/closed/seats/1', 409, 'the room is closed'],
  ['a bug, without what it was', '/apis/rooms.test/v1/namespaces/broken/seats/1', 500, 'Internal error; the server log has the cause'],
  ['a path that is longer', '/apis/rooms.test/v1/namespaces/a/seats/1/more', 404, 'the server could not find the requested resource'],
  ['a name that is empty', '/apis/rooms.test/v1/namespaces//seats/1', 404, 'the server could not find the requested resource'],
  ['an encoded slash', '/apis/rooms.test/v1/namespaces/a%2fb/seats/1', 400, 'the request target holds an encoded slash, a backslash or a control character'],
  ['broken percent-encoding', '/apis/rooms.test/v1/namespaces/%zz/seats/1', 400, 'the request target is not valid percent-encoding'],
])('answers %s over HTTP', async (_what, path, code, message) => {
  expect(await refusal(path)).toEqual({ code, status: expect.objectContaining({ kind: 'Status', message }) });
});

it('cuts off a client whose message is longer than the gateway takes', async () => {
  const client = connect('/apis/rooms.test/v1/namespaces/a/seats/1');
  await firstMessage(client);
  client.send('0123456789abcdef');
  expect(await firstMessage(client)).toBe('0123456789abcdef');
  client.send('0123456789abcdefg');
  const [code] = (await once(client, 'close')) as [number];
  expect(code).toBe(1009);
});

it('tells every client that the server stops, and waits for none that does not listen', async () => {
  const polite = connect('/apis/rooms.test/v1/namespaces/a/seats/1');
  await firstMessage(polite);
  const closed = once(polite, 'close') as Promise<[number, Buffer]>;

  const { port } = new URL(api.url);
  const deaf = connectSocket(Number(port), '127.0.0.1');
  deaf.write(
    `GET /apis/rooms.test/v1/namespaces/a/seats/2 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  await once(deaf, 'data');

  const began = performance.now();
  await api.restart();
  const [code, reason] = await closed;
  expect([code, reason.toString()]).toEqual([1001, 'the server is stopping']);
  expect(performance.now() - began).toBeLessThan(15_000);
  deaf.destroy();
});
