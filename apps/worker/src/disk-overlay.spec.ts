import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clearRestoring, isOverlayWritten, replaceOverlay, settleOverlay } from './disk-overlay.ts';

/** Every file a machine's disk can have, by what a process killed at some moment left in it. */
type Files = Readonly<Record<string, string>>;
const OLD: Files = { 'disk.overlay': 'old', 'disk.overlay.index': 'old' };
const NEW: Files = { 'disk.overlay': 'new', 'disk.overlay.index': 'new' };

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'corral-overlay-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const put = (files: Files): void => {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
};
const found = (): Files =>
  Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]));

describe('The disk of a machine whose process was killed', () => {
  it.each<[string, Files, Files]>([
    ['before it had one', {}, {}],
    ['while it ran', OLD, OLD],
    ['as a restore began', { ...OLD, 'disk.overlay.restoring': '' }, OLD],
    ['in the middle of a restore', { ...OLD, 'disk.overlay.restoring': 'ha', 'disk.overlay.restoring.index': 'l' }, OLD],
    ['in the middle of its first restore', { 'disk.overlay.restoring': 'ha', 'disk.overlay.restoring.index': 'l' }, {}],
    ['as what a restore left was cleared', { ...OLD, 'disk.overlay.restoring': 'ha' }, OLD],
    ['between clusters and index of a replacement', { ...OLD, 'disk.overlay': 'new', 'disk.overlay.restoring.index': 'new' }, NEW],
  ])('%s is whole', async (_when, left, whole) => {
    put(left);
    await settleOverlay(folder);
    expect(found()).toEqual(whole);
    expect(await isOverlayWritten(folder)).toBe('disk.overlay' in whole);
  });

  it('is the restored one once that is whole', async () => {
    put({ ...OLD, 'disk.overlay.restoring': 'new', 'disk.overlay.restoring.index': 'new' });
    await replaceOverlay(folder);
    expect(found()).toEqual(NEW);
  });

  it('is not touched by clearing what a restore left', async () => {
    put({ ...OLD, 'disk.overlay.restoring': 'ha', 'disk.overlay.restoring.index': 'l' });
    await clearRestoring(folder);
    expect(found()).toEqual(OLD);
  });
});
