import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { startPostgres, type EmbeddedPostgres } from '@corral/embedded';
import { until } from '@corral/testing';
import pg from 'pg';
import { Leadership } from './leadership.ts';

const SOON = { timeoutMs: 10_000 };

describe('leadership', () => {
  const home = mkdtempSync(join(tmpdir(), 'corral-leadership-'));
  let postgres: EmbeddedPostgres;
  const candidates: Leadership[] = [];

  beforeAll(async () => {
    postgres = await startPostgres({ home, durability: 'Test' });
  }, 60_000);
  afterEach(() => Promise.all(candidates.splice(0).map((candidate) => candidate.stop())));
  afterAll(async () => {
    await postgres.stop();
    rmSync(home, { recursive: true, force: true });
  });

  function aCandidate() {
    const leadership = new Leadership({ databaseUrl: postgres.url, heartbeatMs: 50, sessionTimeoutMs: 2_000 });
    candidates.push(leadership);
    const log: string[] = [];
    leadership.whileLeading('work', async (signal) => {
      log.push('begins');
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      log.push('ends');
    });
    leadership.start();
    return { leadership, log, leads: () => leadership.isLeading('work') };
  }

  async function cutSessions(): Promise<void> {
    const admin = new pg.Client({ connectionString: postgres.url });
    await admin.connect();
    await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'corral-leadership'`);
    await admin.end();
  }

  it('goes to one of those who want it, and to the next when that one stops, after its work has ended', async () => {
    const first = aCandidate();
    await until(first.leads, { ...SOON, what: 'the first leads' });
    const second = aCandidate();
    await first.leadership.stop();
    expect([first.leads(), first.log]).toEqual([false, ['begins', 'ends']]);
    await until(second.leads, { ...SOON, what: 'the second leads' });
    expect(second.log).toEqual(['begins']);
  });

  it('ends at once with the connection, and is sought again', async () => {
    const only = aCandidate();
    await until(only.leads, { ...SOON, what: 'it leads' });
    await cutSessions();
    await until(() => only.log.includes('ends'), { ...SOON, what: 'its work ended' });
    await until(() => only.log.length === 3 && only.leads(), { ...SOON, what: 'it leads again' });
  });

  it('begins work again that failed, while it leads', async () => {
    const leadership = new Leadership({ databaseUrl: postgres.url, heartbeatMs: 50 });
    candidates.push(leadership);
    let begun = 0;
    leadership.whileLeading('fragile', async () => {
      begun += 1;
      throw new Error('on purpose');
    });
    leadership.start();
    await until(() => begun === 2, { ...SOON, what: 'the second beginning' });
    expect(leadership.isLeading('fragile')).toBe(true);
  });

  it('is kept by work that ignores its signal only for that work, which never runs twice here', async () => {
    const failures: unknown[] = [];
    const leadership = new Leadership({ databaseUrl: postgres.url, heartbeatMs: 50, sessionTimeoutMs: 2_000, settleTimeoutMs: 100, onFailure: (error) => failures.push(error) });
    candidates.push(leadership);
    const begun = { deaf: 0, good: 0 };
    let letGo = (): void => undefined;
    const heard = new Promise<void>((resolve) => (letGo = resolve));
    leadership.whileLeading('deaf', async () => {
      begun.deaf += 1;
      await heard;
    });
    leadership.whileLeading('good', async (signal) => {
      begun.good += 1;
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    });
    leadership.start();
    await until(() => begun.deaf === 1 && begun.good === 1, { ...SOON, what: 'it leads' });
    await cutSessions();
    try {
      await until(() => begun.good === 2, { ...SOON, what: 'it leads what has ended' });
      expect([begun.deaf, leadership.isLeading('deaf'), leadership.isLeading('good')]).toEqual([1, false, true]);
      expect(failures.map(String)).toContainEqual(expect.stringContaining('deaf did not end within 100 ms'));
    } finally {
      letGo();
    }
    await until(() => leadership.isLeading('deaf'), { ...SOON, what: 'it leads what ended late' });
  });

  it('is handed over at a stop that work ignores', async () => {
    const leadership = new Leadership({ databaseUrl: postgres.url, heartbeatMs: 50, settleTimeoutMs: 100 });
    let hasBegun = false;
    leadership.whileLeading('work', () => {
      hasBegun = true;
      return new Promise(() => undefined);
    });
    leadership.start();
    await until(() => hasBegun, { ...SOON, what: 'it leads' });
    const next = aCandidate();
    await leadership.stop();
    await until(next.leads, { ...SOON, what: 'the next leads' });
  });

  describe('among processes', () => {
    const processes: ChildProcess[] = [];
    const spoken: { readonly who: string; readonly says: string }[] = [];
    function aProcess(who: string): ChildProcess {
      const child = spawn(process.execPath, ['--conditions=@corral/source', '--disable-warning=ExperimentalWarning', resolve(import.meta.dirname, '../../../test/leadership.main.ts')], {
        env: { PATH: process.env['PATH'], DATABASE_URL: postgres.url },
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      createInterface({ input: child.stdout! }).on('line', (says) => spoken.push({ who, says }));
      processes.push(child);
      return child;
    }
    const said = (who: string, says: string, times = 1): Promise<unknown> =>
      until(() => spoken.filter((line) => line.who === who && line.says === says).length >= times, { timeoutMs: 20_000, what: `${who} ${says}` });
    beforeEach(() => spoken.splice(0));
    afterEach(() => {
      for (const child of processes.splice(0)) child.kill('SIGKILL');
    });

    it('passes on within seconds when the leader is killed', async () => {
      const first = aProcess('first');
      await said('first', 'leads');
      aProcess('second');
      first.kill('SIGKILL');
      await said('second', 'leads');
    }, 40_000);

    it('passes on when the leader is paused, which stops as soon as it runs again', async () => {
      const first = aProcess('first');
      await said('first', 'leads');
      const second = aProcess('second');
      first.kill('SIGSTOP');
      await said('second', 'leads');
      first.kill('SIGCONT');
      await said('first', 'stops');
      second.kill('SIGKILL');
      await said('first', 'leads', 2);
      expect(spoken.map(({ who, says }) => `${who} ${says}`)).toEqual(['first leads', 'second leads', 'first stops', 'first leads']);
    }, 60_000);
  });
});
