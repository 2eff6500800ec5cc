import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { buildGuestAgent, GUEST_AGENT, GUEST_AGENT_COMPILER } from './guest-agent.ts';
import { ImageStore } from './image-store.ts';
import { PrivateApt } from './private-apt.ts';
import { lineProgress } from './progress.ts';

/** Another compiler makes other bytes, which would say nothing about the sources. */
function hasTheCompiler(): boolean {
  try {
    return execFileSync('gcc', ['-dumpfullversion'], { encoding: 'utf8' }).trim() === GUEST_AGENT_COMPILER;
  } catch {
    return false;
  }
}

(hasTheCompiler() ? describe : describe.skip)('the guest agent in the repository', () => {
  const base = path.resolve(import.meta.dirname, '..');
  let home: string;

  beforeAll(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'corral-guest-agent-'));
  });
  afterAll(() => rm(home, { recursive: true, force: true }));

  it('is, byte for byte, what its source compiles to', async () => {
    const store = new ImageStore(home);
    const apt = new PrivateApt(
      path.join(store.workFolder, 'apt'),
      lineProgress(
        () => undefined,
        () => 0,
      ),
    );
    const rebuilt = path.join(home, 'agent.i386');

    await buildGuestAgent(store, apt, base, rebuilt);

    expect((await readFile(rebuilt)).equals(await readFile(path.join(base, GUEST_AGENT)))).toBe(true);
  }, 300_000);
});
