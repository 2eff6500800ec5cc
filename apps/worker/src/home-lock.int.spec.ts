import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lockHome } from './home-lock.ts';

/** A worker as far as its home goes: takes it, says so, and stays. */
async function holder(home: string): Promise<ChildProcess> {
  const code = `const { lockHome } = await import(${JSON.stringify(join(import.meta.dirname, 'home-lock.ts'))});
    await lockHome(process.argv[1]); console.log('held'); setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code, home], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

describe('A worker’s home', () => {
  let home: string;
  let former: ChildProcess | undefined;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'corral-home-'));
  });
  afterEach(() => {
    former?.kill('SIGKILL');
    rmSync(home, { recursive: true, force: true });
  });

  it('has one worker, by whatever path, and the other is told so in one line', async () => {
    former = await holder(home);
    symlinkSync('.', join(home, 'again'));
    for (const path of [home, join(home, 'again')]) {
      await expect(lockHome(path, { waitMs: 200 })).rejects.toThrow(
        `CORRAL_WORKER_HOME: another worker runs on ${path} and did not go within 0.2 s`,
      );
    }
  });

  it('is taken as soon as a former worker has gone, though it was killed', async () => {
    former = await holder(home);
    let waited = 0;
    const release = await lockHome(home, {
      waitMs: 20_000,
      onWait() {
        waited++;
        former?.kill('SIGKILL');
      },
    });
    release();
    expect(waited).toBe(1);
  });

  it('is none of another worker’s business', async () => {
    former = await holder(home);
    (await lockHome(join(home, 'another'), { waitMs: 0 }))();
  });
});
