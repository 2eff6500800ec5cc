import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SnapshotError } from '@corral/memory';
import { until } from '@corral/testing';
import { BaseRequests } from '../bases/base-requests.ts';
import { untilWhole } from './base-wait.ts';

const folder = mkdtempSync(join(tmpdir(), 'corral-wait-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A base of 64 pages, all of which it has, and half of which are there. */
async function waitedFor(): Promise<{ readonly whole: PromiseWithResolvers<undefined>; readonly asked: () => boolean; readonly waiting: Promise<string> }> {
  const whole = Promise.withResolvers<undefined>();
  let isAsked = false;
  const requests = await BaseRequests.listen(join(folder, 'base.sock'), {
    held: Uint32Array.of(0xffff_ffff, 0xffff_ffff),
    get there() {
      isAsked = true;
      return Uint32Array.of(0xffff_ffff, 0);
    },
    whole: whole.promise,
    onPages: (told) => {
      told(Uint32Array.of(32, 33));
      return () => undefined;
    },
    page: () => Promise.resolve(),
  });
  const waiting = untilWhole(requests.path).then(() => 'whole', (error: unknown) => (error instanceof SnapshotError ? error.reason : String(error)));
  void waiting.then(() => requests.close());
  return { whole, asked: () => isAsked, waiting };
}

it('who waits for all of a base waits for its last page, and takes nothing else for the end', async () => {
  const { whole, asked, waiting } = await waitedFor();
  await until(asked, { timeoutMs: 5_000, what: 'who asks' });
  // Longer than what was said takes.
  const early = await Promise.race([waiting, new Promise((resolve) => setImmediate(() => setImmediate(() => setImmediate(resolve))))]);
  expect(early).toBeUndefined();
  whole.resolve(undefined);
  expect(await waiting).toBe('whole');
});

it('who waits for a base that cannot be had is told so', async () => {
  const { whole, waiting } = await waitedFor();
  whole.reject(new Error('S3 is down'));
  expect(await waiting).toBe('SnapshotUnreadable');
});
