import { closeSync, openSync, readdirSync, readlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { PAGE_BYTES } from '@corral/memory';

/** Of the largest machine that tests have. */
const PAGES = (512 * 2 ** 20) / PAGE_BYTES;

/**
 * Damages the copy of last resort of a machine, which has no name: it is reached as its process reaches it. Answers false where there is none, or
 * no process.
 */
export function damageDurable(pid: number): boolean {
  const folder = `/proc/${pid}/fd`;
  let file: number;
  try {
    const fd = readdirSync(folder).find((name) => readlinkSync(join(folder, name)).endsWith('/swap (deleted)'));
    if (fd === undefined) return false;
    file = openSync(join(folder, fd), 'r+');
  } catch {
    return false;
  }
  for (let page = 0; page < PAGES; page += 1) writeSync(file, Buffer.from('damaged'), 0, 7, page * PAGE_BYTES);
  closeSync(file);
  return true;
}
