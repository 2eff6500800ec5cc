import { jest } from '@jest/globals';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type FullDiskFindings } from './full-disk.testing.ts';

jest.setTimeout(60_000);

/** Whoever may mount something, in a namespace of their own. */
const MOUNTED = ['--mount', '--propagation', 'private', 'sh', '-c', 'mount -t tmpfs -o size=3m none "$0" && exec "$@"'];
const folder = mkdtempSync(join(tmpdir(), 'corral-full-'));
const mayMount = spawnSync('unshare', [...MOUNTED, folder, 'true']).status === 0;
afterAll(() => rmdirSync(folder));

(mayMount ? describe : describe.skip)('in a folder that is full', () => {
  let findings: FullDiskFindings;
  beforeAll(async () => {
    const program = [process.execPath, '--conditions=@corral/source', '--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'full-disk.testing.ts')];
    const { stdout } = await promisify(execFile)('unshare', [...MOUNTED, folder, ...program, folder]);
    findings = JSON.parse(stdout) as FullDiskFindings;
  });

  it('a base that does not fit is not held, and leaves nothing', () => expect(findings.tooLarge).toEqual({ isHeld: false, left: [] }));
  it('a base that is held shows its machines every page, also zeros nobody has looked at before', () => expect(findings.fitting.seen).toBe(findings.fitting.expected));
  it('memory that cannot be filled is an error, and ends nobody', () => expect(findings.sealed).toBe('SealingFailed: ENOSPC'));
  it('a pack that is put together is given up, and leaves nothing', () => expect(findings.assembly).toEqual({ left: [] }));
});
