import { jest } from '@jest/globals';
import { until } from '@corral/testing';
import { startApi, type ApiFixture } from '../../testing/api-fixture.ts';
import { HealthChecks } from './health-checks.ts';

jest.setTimeout(60_000);

describe('health', () => {
  let api: ApiFixture;
  let isBroken = false;
  beforeAll(async () => {
    api = await startApi();
    api.app.get(HealthChecks).add('readyz', 'breakable', () => {
      if (isBroken) throw new Error('a secret of the server');
    });
    await until(async () => (await api.request('GET', '/readyz')).status === 200, { timeoutMs: 10_000, what: 'ready' });
  }, 60_000);
  afterEach(() => {
    isBroken = false;
  });
  afterAll(() => api.stop());
  const ask = async (path: string) => {
    const { status, text } = await api.request('GET', path);
    return { status, lines: text.trim().split('\n') };
  };

  it.each(['/livez', '/readyz', '/healthz'])('%s says ok, and no more', async (path) => {
    expect(await ask(path)).toEqual({ status: 200, lines: ['ok'] });
  });

  it('prints every check when asked, as kube-apiserver does', async () => {
    expect(await ask('/livez?verbose')).toEqual({ status: 200, lines: ['[+]ping ok', 'livez check passed'] });
    const { status, lines } = await ask('/readyz?verbose=true');
    expect(status).toBe(200);
    expect(lines).toEqual(expect.arrayContaining(['[+]ping ok', '[+]shutdown ok', '[+]database ok', '[+]change-feed ok', '[+]breakable ok']));
    expect(lines.at(-1)).toBe('readyz check passed');
  });

  it('names the check that failed, and keeps why to itself', async () => {
    isBroken = true;
    const { status, lines } = await ask('/readyz');
    expect(status).toBe(503);
    expect(lines).toEqual(expect.arrayContaining(['[+]database ok', '[-]breakable failed: reason withheld']));
    expect(lines.at(-1)).toBe('readyz check failed');
    // It lives all the same: nobody should restart it.
    expect((await ask('/livez')).status).toBe(200);
  });

  it('answers for one check, and leaves out those that are excluded', async () => {
    expect(await ask('/readyz/database')).toEqual({ status: 200, lines: ['ok'] });
    isBroken = true;
    expect((await ask('/readyz/breakable')).status).toBe(503);
    expect((await ask('/readyz/database')).status).toBe(200);
    expect(await ask('/readyz?exclude=breakable')).toEqual({ status: 200, lines: ['ok'] });
    expect((await ask('/readyz?exclude=breakable&verbose')).lines).toContain('[+]breakable excluded: ok');
    expect((await ask('/readyz/nothing')).status).toBe(404);
  });

  it('has figures for Prometheus', async () => {
    const { status, text, headers } = await api.request('GET', '/metrics');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch(/^text\/plain/);
    for (const name of ['process_cpu_seconds_total', 'apiserver_request_total', 'corral_leader{name="garbage-collector"}']) expect(text).toContain(name);
  });
});
