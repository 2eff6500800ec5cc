import { jest } from '@jest/globals';
import {
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type Server,
  type ServerResponse,
} from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { DATA_PLANE_TOKEN_TYPE, dataPlaneAudience, type NodeUsage, type DataPlaneOperation, dataPlanePath } from '@corral/contracts';
import { until } from '@corral/testing';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { pino } from 'pino';
import { WebSocket, WebSocketServer } from 'ws';
import { Metrics } from '../agent/metrics.ts';
import { AccessTokens } from './access-token.ts';
import { PublicKeys } from './public-keys.ts';
import { DataPlaneServer } from './server.ts';

jest.setTimeout(60_000);

const KEY = await generateKeyPair('ES256');
const KEYS = new PublicKeys({ fetch: async () => ({ keys: [{ ...(await exportJWK(KEY.publicKey)), kid: 'one', alg: 'ES256' }] }), now: () => performance.now(), onFailure: () => undefined });
const UID = 'd5a1bd84-4c63-4a6c-9a63-1f4a77a1a001';
const MIB = 1024 * 1024;
const USAGE: NodeUsage = { measuredAt: '2026-01-01T00:00:00.000Z', machines: [{ uid: UID, namespace: 'default', name: 'demo', usage: { cpuCores: 0.5, memoryBytes: 1, windowSeconds: 15 } }] };

/** What the node agent carries to: a server on a unix socket, as a VM process is one. */
let machine: Server;
let serve: (request: IncomingMessage, response: ServerResponse) => void;
const sockets = new WebSocketServer({ noServer: true });
let folder: string;
let dataPlane: DataPlaneServer;
let port: number;
let isServing = true;
let endpoint: { incarnation: number; socketPath: string } | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'corral-data-plane-'));
  machine = createServer((request, response) => serve(request, response));
  machine.on('upgrade', (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (webSocket) => sockets.emit('connection', webSocket, request));
  });
  await new Promise<void>((resolve) => machine.listen(join(folder, 'vm.sock'), resolve));
  dataPlane = new DataPlaneServer({
    lastScreen: () => undefined,
    isServing: () => isServing,
    host: '127.0.0.1',
    port: 0,
    tokens: new AccessTokens(KEYS, 'worker-1'),
    metrics: new Metrics({
      starts: () => ({ waiting: 0, underWay: 0 }),
      phases: () => ['Running', 'Running', 'Paused'],
      memory: () => undefined,
      bases: () => ({ bases: 1, storedBytes: 4096, users: 3, mappedBytes: 12_288, askedFrames: 2, fetchedBytes: 8_192 }),
      corrections: () => ({ VirtualMachine: 2 }),
    }),
    log: pino({ level: 'silent' }),
    usage: () => Promise.resolve(USAGE),
    endpoint: (uid) => (uid === UID ? endpoint : undefined),
  });
  port = await dataPlane.listen();
});
beforeEach(() => {
  endpoint = { incarnation: 3, socketPath: join(folder, 'vm.sock') };
});
afterAll(async () => {
  await dataPlane.close();
  machine.closeAllConnections();
  machine.close();
  rmSync(folder, { recursive: true, force: true });
});

const sign = (claims: object, nodeName = 'worker-1'): Promise<string> =>
  new SignJWT({ ...claims })
    .setProtectedHeader({ alg: 'ES256', kid: 'one', typ: DATA_PLANE_TOKEN_TYPE })
    .setAudience(dataPlaneAudience(nodeName))
    .setIssuedAt()
    .setExpirationTime('60s')
    .sign(KEY.privateKey);
const token = (operation: DataPlaneOperation, incarnation = 3): Promise<string> => sign({ uid: UID, incarnation, operation });
const urlOf = (operation: DataPlaneOperation, query = ''): string =>
  `http://127.0.0.1:${port}${dataPlanePath(UID, 3, operation)}${query}`;

async function call(operation: DataPlaneOperation, init: RequestInit = {}, query = ''): Promise<Response> {
  return fetch(urlOf(operation, query), {
    ...init,
    headers: { ...(init.headers as Record<string, string>), authorization: `Bearer ${await token(operation)}` },
  });
}

describe('What the node uses', () => {
  const ask = (bearer?: string): Promise<Response> => fetch(`http://127.0.0.1:${port}/v1/usage`, bearer === undefined ? {} : { headers: { authorization: `Bearer ${bearer}` } });

  it('is told to whoever has a token for it', async () => {
    expect(await (await ask(await sign({ operation: 'usage' }))).json()).toEqual(USAGE);
  });

  it('is told to nobody else, not even with a token for a machine', async () => {
    expect((await ask()).status).toBe(401);
    expect((await ask(await token('exec'))).status).toBe(401);
    expect((await ask(await sign({ operation: 'usage' }, 'worker-2'))).status).toBe(401);
  });
});

describe('The data plane over HTTP', () => {
  it('carries method, query, headers and body, and keeps the token to itself', async () => {
    const seen: { method?: string; url?: string; body?: string; headers?: IncomingMessage['headers'] } = {};
    serve = (request, response) => {
      const chunks: Buffer[] = [];
      request
        .on('data', (chunk: Buffer) => chunks.push(chunk))
        .on('end', () => {
          Object.assign(seen, {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: Buffer.concat(chunks).toString(),
          });
          response.writeHead(201, { 'content-type': 'text/x-answer', 'x-of-the-machine': 'yes' }).end('answer');
        });
    };
    const answer = await call(
      'files',
      { method: 'PUT', body: 'bytes', headers: { 'content-type': 'application/x-bytes' } },
      '?path=%2Ftmp%2Fx&mode=0600',
    );
    expect([
      answer.status,
      answer.headers.get('content-type'),
      answer.headers.get('x-of-the-machine'),
      await answer.text(),
    ]).toEqual([201, 'text/x-answer', 'yes', 'answer']);
    expect(seen).toMatchObject({
      method: 'PUT',
      url: '/files?path=%2Ftmp%2Fx&mode=0600',
      body: 'bytes',
      headers: { 'content-type': 'application/x-bytes' },
    });
    expect(seen.headers).not.toHaveProperty('authorization');
  });

  it('carries bodies larger than any buffer both ways, byte for byte', async () => {
    serve = (request, response) => request.pipe(response);
    const chunk = Buffer.alloc(MIB, 'x');
    const sizeMiB = 64;
    const body = Readable.from(
      (function* () {
        for (let index = 0; index < sizeMiB; index++) yield chunk;
      })(),
    );
    const answer = await call('files', {
      method: 'PUT',
      body: Readable.toWeb(body),
      duplex: 'half',
    } as unknown as RequestInit);
    let sizeBytes = 0;
    for await (const part of answer.body ?? []) sizeBytes += (part as Uint8Array).length;
    expect(sizeBytes).toBe(sizeMiB * MIB);
  });

  it('does not read from a machine faster than the caller does', async () => {
    let sentBytes = 0;
    serve = (_request, response) => {
      const more = (): void => {
        sentBytes += MIB;
        if (sentBytes < 256 * MIB) response.write(Buffer.alloc(MIB), more);
      };
      more();
    };
    const headers = { authorization: `Bearer ${await token('files')}` };
    const lazy = httpRequest(urlOf('files'), { headers });
    lazy.on('error', () => undefined).end();
    const response = await new Promise<IncomingMessage>((resolve) => lazy.once('response', resolve));
    response.pause();
    let settled = -1;
    await until(
      async () => {
        const before = sentBytes;
        await delay(200);
        settled = sentBytes;
        return before === sentBytes && sentBytes > 0;
      },
      { timeoutMs: 20_000, what: 'the machine held back' },
    );
    expect(settled).toBeLessThan(32 * MIB);
    lazy.destroy();
  });

  it('ends the request at the machine when the caller goes', async () => {
    let ended = false;
    let begun = false;
    serve = (_request, response) => {
      begun = true;
      response.on('close', () => (ended = true));
    };
    const abort = new AbortController();
    const answer = call('exec', { method: 'POST', body: '{}', signal: abort.signal }).catch(() => undefined);
    await until(() => begun, { timeoutMs: 10_000, what: 'the request' });
    abort.abort();
    await answer;
    await until(() => ended, { timeoutMs: 10_000, what: 'the end of the request' });
  });

  it('passes on an answer that comes before the body was read', async () => {
    serve = (_request, response) =>
      response.writeHead(413, { 'content-type': 'application/json', connection: 'close' }).end('{"code":413}');
    const answer = await call('files', { method: 'PUT', body: Buffer.alloc(64 * 1024) });
    expect([answer.status, await answer.text()]).toEqual([413, '{"code":413}']);
  });

  it.each([
    ['has gone', undefined, 409, 'VirtualMachineNotRunning'],
    ['has been started anew', { incarnation: 4, socket: 'vm.sock' }, 409, 'VirtualMachineNotRunning'],
    ['does not answer', { incarnation: 3, socket: 'nobody.sock' }, 503, 'NodeUnreachable'],
  ] as const)('answers a Status when the machine %s', async (_what, found, status, reason) => {
    endpoint = found && { incarnation: found.incarnation, socketPath: join(folder, found.socket) };
    const answer = await call('exec', { method: 'POST', body: '{}' });
    expect([answer.status, await answer.json()]).toMatchObject([status, { kind: 'Status', reason }]);
  });

  it('of a node without the right to serve says so, and when to come again, on every way in', async () => {
    isServing = false;
    try {
      const answer = await call('exec', { method: 'POST', body: '{}' });
      expect([answer.status, answer.headers.get('retry-after'), await answer.json()]).toMatchObject([503, '2', { reason: 'NodeFenced', details: { retryAfterSeconds: 2 } }]);
      const socket = new WebSocket(urlOf('serial').replace('http', 'ws'), { headers: { authorization: `Bearer ${await token('serial')}` } });
      const refused = await new Promise<IncomingMessage>((resolve) => socket.once('unexpected-response', (_request, response) => resolve(response)));
      expect([refused.statusCode, refused.headers['retry-after']]).toEqual([503, '2']);
      // Not even that is told to whoever has no token.
      expect((await fetch(urlOf('exec'), { method: 'POST' })).status).toBe(401);
    } finally {
      isServing = true;
    }
  });

  it('has nothing but the operations', async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/v1/machines/${UID}/3/shutdown`, {
      headers: { authorization: `Bearer ${await token('exec')}` },
    });
    expect(answer.status).toBe(404);
  });
});

describe('The metrics of a node', () => {
  it('count its machines by phase, and what resyncs corrected', async () => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    expect(text).toContain('corral_machines{phase="Running"} 2');
    expect(text).toContain('corral_machines{phase="Stopping"} 0');
    expect(text).toContain('corral_resync_corrections{kind="VirtualMachine"} 2');
    expect(text).toMatch(/^corral_bases 1$[^]*^corral_base_users 3$[^]*^corral_base_bytes 4096$[^]*^corral_base_mapped_bytes 12288$/m);
  });
});

describe('The data plane over WebSocket', () => {
  const open = async (operation: DataPlaneOperation, bearer?: string): Promise<WebSocket> =>
    new WebSocket(urlOf(operation, '?replay=10').replace('http', 'ws'), ['v5.channel.k8s.io'], {
      headers: { authorization: `Bearer ${bearer ?? (await token(operation))}` },
    });

  it('is a tunnel: subprotocol, query and every frame, both ways, until either side ends it', async () => {
    const urls: (string | undefined)[] = [];
    let closed = false;
    sockets.once('connection', (webSocket, request) => {
      urls.push(request.url);
      webSocket.on('message', (data, isBinary) => webSocket.send(data, { binary: isBinary }));
      webSocket.on('close', () => (closed = true));
    });
    const client = await open('serial');
    const echoes: Buffer[] = [];
    client.on('message', (data) => echoes.push(data as Buffer));
    await new Promise((resolve) => client.once('open', resolve));
    const frames = [Buffer.from('a'), Buffer.alloc(0), Buffer.alloc(300_000, 7)];
    for (const frame of frames) client.send(frame);
    await until(() => echoes.length === 3, { timeoutMs: 10_000, what: 'three echoes' });
    expect(Buffer.concat(echoes).equals(Buffer.concat(frames))).toBe(true);
    expect([urls, client.protocol]).toEqual([['/serial?replay=10'], 'v5.channel.k8s.io']);
    client.close();
    await until(() => closed, { timeoutMs: 10_000, what: 'the end at the machine' });
  });

  it.each([
    ['no token of ours', 'nonsense', 401],
    ['a token for another operation', undefined, 403],
  ] as const)('refuses %s with its status, before any upgrade', async (_what, bearer, expected) => {
    const client = await open('serial', bearer ?? (await token('exec')));
    client.on('error', () => undefined);
    const status = await new Promise((resolve) => {
      client.on('unexpected-response', (_request, response) => resolve(response.statusCode));
      client.on('open', () => resolve('open'));
    });
    expect(status).toBe(expected);
    client.terminate();
  });
});
