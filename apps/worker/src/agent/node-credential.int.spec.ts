import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { NodeCredential } from './node-credential.ts';

let home: string;
let server: Server;
let port: number;
/** What the API was asked for, and what it says. */
const asked: { nodeName?: string; present?: string }[] = [];
let status: number;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'corral-credential-'));
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
      asked.push(JSON.parse(Buffer.concat(chunks).toString()) as object);
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(status === 201 ? { token: `token-${asked.length}` } : { kind: 'Status', code: status, reason: 'Conflict', message: 'there is one already' }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await rm(home, { recursive: true, force: true });
});
beforeEach(async () => {
  asked.length = 0;
  status = 201;
  await rm(join(home, 'credential.json'), { force: true });
});

/** A worker that was just started with this home. */
const started = (host = '127.0.0.1', nodeName = 'worker-1'): NodeCredential =>
  new NodeCredential({ home, apiUrl: `http://${host}:${port}`, nodeName, bootstrapToken: 'bootstrap', log: pino({ level: 'silent' }) });

describe('The credential of a node', () => {
  it('is asked for once, and kept in the home for the next start', async () => {
    expect(await started().token()).toBe('token-1');
    expect(await started().token()).toBe('token-1');
    expect(asked).toEqual([{ nodeName: 'worker-1' }]);
  });

  it('is shown when the API has another address now, so that the node is known to be itself', async () => {
    await started().token();
    expect(await started('localhost').token()).toBe('token-2');
    expect(asked[1]).toEqual({ nodeName: 'worker-1', present: 'token-1' });
  });

  it('of another node in the same home is shown to nobody', async () => {
    await started().token();
    await started('127.0.0.1', 'worker-2').token();
    expect(asked[1]).toEqual({ nodeName: 'worker-2' });
  });

  it('is asked for again when it is known no more, and when the name was taken before', async () => {
    const credential = started();
    await credential.token();
    await credential.refused();
    status = 409;
    await expect(credential.token()).rejects.toMatchObject({ message: 'there is one already' });
    status = 201;
    expect(await credential.token()).toBe('token-3');
    expect(asked[2]).toEqual({ nodeName: 'worker-1' });
  });
});
