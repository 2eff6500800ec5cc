import { jest } from '@jest/globals';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ADMIN_TOKEN, startApi, type ApiFixture } from '../../testing/api-fixture.ts';

jest.setTimeout(60_000);

const consoleDir = mkdtempSync(join(tmpdir(), 'corral-console-'));
let api: ApiFixture;
beforeAll(async () => {
  mkdirSync(join(consoleDir, 'assets'));
  writeFileSync(join(consoleDir, 'index.html'), '<title>Corral</title>');
  writeFileSync(join(consoleDir, 'assets', 'index-abc123.js'), 'console.log(1)');
  api = await startApi({ consoleDir });
}, 60_000);
afterAll(async () => {
  await api.stop();
  rmSync(consoleDir, { recursive: true });
});

const get = (path: string): Promise<Response> => fetch(`${api.url}${path}`);

it.each(['/', '/machines/default/demo', '/machines?ns=a', '/index.html'])('serves the console’s page at %s, to whoever asks, under a strict policy', async (path) => {
  const answer = await get(path);
  expect([answer.status, answer.headers.get('cache-control'), await answer.text()]).toEqual([200, 'no-cache', '<title>Corral</title>']);
  expect(answer.headers.get('content-security-policy')).toContain("default-src 'self'; script-src 'self' 'wasm-unsafe-eval'");
});

it('lets hashed assets be kept for ever, and answers missing ones with 404', async () => {
  const asset = await get('/assets/index-abc123.js');
  expect([asset.headers.get('cache-control'), asset.headers.get('content-type')]).toEqual(['public, max-age=31536000, immutable', expect.stringContaining('javascript')]);
  expect((await get('/assets/index-old.js')).status).toBe(404);
});

it.each(['/api/nothing', '/apis/nothing/here', '/auth/nothing'])('keeps %s to the API', async (path) => {
  expect((await api.request('GET', path)).body.reason).toBe('NotFound');
});

it.each(['/../../etc/passwd', '/%2e%2e/%2e%2e/etc/passwd', '/..%2f..%2fetc%2fpasswd'])('never leaves its folder: %s', async (path) => {
  const { hostname, port } = new URL(api.url);
  const text = await new Promise<string>((resolve) => {
    const socket = connect(Number(port), hostname, () => socket.end(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`));
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk.toString())).on('close', () => resolve(answer));
  });
  expect(text).not.toContain('root:');
});

it('speaks HTTPS on the same port, verified by the certificate it made', async () => {
  const { port } = new URL(api.url);
  const status = await new Promise<number>((resolve, reject) => {
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
    httpsRequest({ host: '127.0.0.1', port, path: '/api/v1/namespaces', ca: api.certificate, headers, agent: false }, (answer) => resolve(answer.resume().statusCode ?? 0))
      .on('error', reject)
      .end();
  });
  expect(status).toBe(200);
});
