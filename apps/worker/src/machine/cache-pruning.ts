import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';

/** Says that an entry of a cache is used now. Modification times tell: access times are often not kept. */
export async function touch(path: string, now: Date): Promise<void> {
  await utimes(path, now, now).catch(() => undefined);
}

export interface PruningOptions {
  readonly directory: string;
  readonly maxBytes: number;
  /** Entries that must stay, by name. */
  readonly needed: ReadonlySet<string>;
  readonly now: Date;
}

/** What was used a moment ago may be about to be opened. */
const GRACE_MS = 10 * 60_000;

/** Removes the least recently used entries of a cache that nobody needs, until the rest fits. Resolves to the names removed. */
export async function prune({ directory, maxBytes, needed, now }: PruningOptions): Promise<string[]> {
  const entries = await Promise.all((await readdir(directory)).map((name) => measure(directory, name)));
  let total = entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const removed: string[] = [];
  for (const { name, sizeBytes, usedAt } of entries.sort((a, b) => a.usedAt - b.usedAt)) {
    if (total <= maxBytes) break;
    if (needed.has(name) || now.getTime() - usedAt < GRACE_MS) continue;
    await rm(join(directory, name), { recursive: true, force: true });
    total -= sizeBytes;
    removed.push(name);
  }
  return removed;
}

/** All that lies in a folder. */
export async function folderBytes(directory: string): Promise<number> {
  const entries = await Promise.all((await readdir(directory)).map((name) => measure(directory, name)));
  return entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

async function measure(directory: string, name: string): Promise<{ name: string; sizeBytes: number; usedAt: number }> {
  const path = join(directory, name);
  const entry = await stat(path).catch(() => undefined);
  if (!entry?.isDirectory()) return { name, sizeBytes: entry?.size ?? 0, usedAt: entry?.mtimeMs ?? 0 };
  const files = await Promise.all(
    (await readdir(path, { recursive: true })).map((file) => stat(join(path, file)).catch(() => undefined)),
  );
  return { name, sizeBytes: files.reduce((sum, file) => sum + (file?.size ?? 0), 0), usedAt: entry.mtimeMs };
}
