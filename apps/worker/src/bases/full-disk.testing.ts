import { createHash, hash, randomBytes } from 'node:crypto';
import { closeSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { HostMemory, MemoryBlock, decodePackIndex, encodePack, packIndexBytesOf, PIECE_BYTES, SealedMemory, type Piece } from '@corral/memory';
import { pino } from 'pino';
import { BaseImages, type BaseSource } from './base-images.ts';
import { inFiles } from './base-memory.ts';
import { openRam } from '../vm-process/memory.restore.ts';
import { PackAssembly } from './pack-assembly.ts';

/**
 * For tests: what becomes of bases and packs in a folder that is really full. Run in a mount namespace of its own whose folder is a
 * tmpfs of a few MiB; says what it found as JSON.
 */
export interface FullDiskFindings {
  /** A base that does not fit. */
  readonly tooLarge: { readonly isHeld: boolean; readonly left: readonly string[] };
  /** SHA-256 of one that does, as a machine sees it, and as it should be; the folder was filled to the brim in between. */
  readonly fitting: { readonly seen: string; readonly expected: string };
  /** Of memory that should have been filled: what went wrong. */
  readonly sealed: string;
  readonly assembly: { readonly path: string | undefined; readonly left: readonly string[] };
}

const FITTING_PAGES = 256;
const TOO_MANY_PAGES = 2_048;

const [folder] = process.argv.slice(2);
if (folder !== undefined) process.stdout.write(JSON.stringify(await find(folder)));

async function find(directory: string): Promise<FullDiskFindings> {
  const bases = new BaseImages({ directory, maxBytes: 0, log: pino({ level: 'silent' }), now: () => performance.now(), kinds: [inFiles(directory)] });
  const large = await bases.hold((await sourceOf('large', TOO_MANY_PAGES)).source);
  const tooLarge = { isHeld: large !== undefined, left: readdirSync(directory) };

  const assembly = await PackAssembly.begin(join(directory, 'pack'), TOO_MANY_PAGES * PIECE_BYTES);
  for (let page = 0; page < TOO_MANY_PAGES; page += 64) await assembly.add(page * PIECE_BYTES, randomBytes(64 * PIECE_BYTES));
  const path = await assembly.end(true);
  const assembled = { path, left: readdirSync(directory) };

  const sealed = fillSealed(directory);

  // Half of its pages are zero, and nobody has looked at these yet.
  const { source, content } = await sourceOf('fitting', FITTING_PAGES);
  const held = await bases.hold(source);
  if (!held) throw new Error('there is no room for the base that fits');
  fill(join(directory, 'brim'));
  const { libc } = HostMemory.probe().memory ?? {};
  if (!libc) throw new Error('memory cannot be mapped here');
  const fd = openRam(held.base.ram);
  const mapped = MemoryBlock.readOnly(libc, FITTING_PAGES * PIECE_BYTES, fd);
  closeSync(fd);
  const seen = hash('sha256', new Uint8Array(mapped.buffer).slice());
  return { tooLarge, fitting: { seen, expected: createHash('sha256').update(content).digest('hex') }, sealed, assembly: assembled };
}

async function sourceOf(name: string, pages: number): Promise<{ readonly source: BaseSource; readonly content: Buffer }> {
  const pieces = Array.from({ length: pages / 2 }, (_, at): Piece => ({ number: at * 2, bytes: randomBytes(PIECE_BYTES) }));
  const content = Buffer.alloc(pages * PIECE_BYTES);
  for (const { number, bytes } of pieces) content.set(bytes, number * PIECE_BYTES);
  const chunks: Uint8Array[] = [];
  for await (const chunk of encodePack(pieces)) chunks.push(chunk);
  const pack = Buffer.concat(chunks);
  const index = decodePackIndex(pack.subarray(-packIndexBytesOf(pack.subarray(-32), pack.length)), pack.length);
  const open: BaseSource['open'] = async () => ({ index, isRemote: false, read: async (offset, length) => pack.subarray(offset, offset + length), close: async () => undefined });
  return { source: { sha256: name, name, pages, open }, content };
}

/** As where the kernel has no memory left for what it was asked to hold. */
function fillSealed(directory: string): string {
  const path = join(directory, 'memory');
  const memory = SealedMemory.create('full', TOO_MANY_PAGES * PIECE_BYTES, { memfdCreate: () => openSync(path, 'w+'), fcntl: () => 0, errno: () => 0 });
  try {
    memory.write(randomBytes(TOO_MANY_PAGES * PIECE_BYTES), 0);
    return 'nothing';
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${(error.cause as NodeJS.ErrnoException).code}` : String(error);
  } finally {
    memory.close();
    rmSync(path);
  }
}

function fill(path: string): void {
  const fd = openSync(path, 'w');
  try {
    for (;;) writeSync(fd, Buffer.alloc(PIECE_BYTES, 1));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(fd);
  }
}
