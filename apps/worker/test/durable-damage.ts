import { closeSync, openSync, readdirSync, readlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { PAGE_BYTES } from '@corral/memory';

/** Of the largest machine that tests have. */
const PAGES = (512 * 2 ** 20) / PAGE_BYTES;

/** Damages the copy of last resort of a machine, which has no name: it is reached as its process reaches it. Throws where the machine does not swap. */
export function damageDurable(pid: number): void {
  const folder = `/proc/${pid}/fd`;
  const fd = readdirSync(folder).find((name) => readlinkSync(join(folder, name)).endsWith('/swap (deleted)'));
  const file = openSync(join(folder, fd ?? 'none'), 'r+');
  for (let page = 0; page < PAGES; page += 1) writeSync(file, Buffer.from('damaged'), 0, 7, page * PAGE_BYTES);
  closeSync(file);
}
