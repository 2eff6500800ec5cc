import { createHash } from 'node:crypto';
import { readFile, readdir, readlink, stat } from 'node:fs/promises';
import path from 'node:path';
import { Problem } from '@corral/contracts';
import type { CpioEntry } from './cpio.ts';

/** The files below a folder as archive entries; of their modes only the executable bit counts, as in git. */
export async function readTree(folder: string): Promise<CpioEntry[]> {
  const entries: CpioEntry[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const absolute = path.join(entry.parentPath, entry.name);
    const relative = path.relative(folder, absolute);
    if (entry.isDirectory()) entries.push({ type: 'directory', path: relative, mode: 0o755 });
    else if (entry.isSymbolicLink())
      entries.push({ type: 'symlink', path: relative, target: await readlink(absolute) });
    else {
      const executable = ((await stat(absolute)).mode & 0o100) !== 0;
      entries.push({
        type: 'file',
        path: relative,
        mode: executable ? 0o755 : 0o644,
        content: await readFile(absolute),
      });
    }
  }
  return entries;
}

/** One digest of several files and folders: changes when any name, executable bit or byte does. */
export async function digestOfSources(base: string, sources: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const source of [...sources].sort()) {
    const absolute = path.join(base, source);
    const entries: CpioEntry[] = (await stat(absolute)).isDirectory()
      ? await readTree(absolute)
      : [{ type: 'file', path: '', mode: (await stat(absolute)).mode & 0o100, content: await readFile(absolute) }];
    for (const entry of entries.sort((a, b) => (a.path < b.path ? -1 : 1))) {
      const { content, ...rest } = entry.type === 'file' ? entry : { ...entry, content: undefined };
      hash.update(JSON.stringify([source, rest, content ? createHash('sha256').update(content).digest('hex') : null]));
    }
  }
  return hash.digest('hex');
}

/**
 * The names busybox answers to, read from its binary (a run of strings that begins with `[` and `[[`), so that a machine
 * which cannot run i386 programs can build too.
 */
export function busyboxApplets(binary: Buffer): string[] {
  const start = binary.indexOf('\0[\0[[\0', 0, 'latin1') + 1;
  const end = binary.indexOf('\0\0', start, 'latin1');
  const names = start > 0 && end > start ? binary.toString('latin1', start, end).split('\0') : [];
  if (!names.includes('sh') || !names.includes('init'))
    throw new Problem('dependency.unavailable', 'this busybox has no list of applets with sh and init in it');
  return names;
}

/** Adds a folder entry for every folder on the way to an entry; of entries with one path the last wins. */
export function withParents(entries: readonly CpioEntry[]): CpioEntry[] {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  for (const { path: file } of entries) {
    for (let parent = path.dirname(file); parent !== '.'; parent = path.dirname(parent)) {
      if (!byPath.has(parent)) byPath.set(parent, { type: 'directory', path: parent, mode: 0o755 });
    }
  }
  return [...byPath.values()];
}
