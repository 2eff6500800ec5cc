import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

export type Durability = 'Full' | 'Test';

/** Writes a small file so that a crash leaves the old content or the new. */
export async function writeAtomically(file: string, text: string, durability: Durability): Promise<void> {
  const handle = await open(`${file}.new`, 'w', 0o600);
  try {
    await handle.writeFile(text);
    if (durability === 'Full') await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${file}.new`, file);
  await syncFolder(dirname(file), durability);
}

/** Makes renames and removals in a folder survive a power cut. */
export async function syncFolder(folder: string, durability: Durability): Promise<void> {
  if (durability === 'Test') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
