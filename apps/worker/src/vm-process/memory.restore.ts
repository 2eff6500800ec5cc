import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { BaseRam, SnapshotBase } from '@corral/contracts';
import { type GuestRam, type OpenedSnapshot, PAGE_BYTES, PageSet, type PieceRun, SealedMemory, SealingFailed } from '@corral/memory';

const COPIED_AT_ONCE_BYTES = 256 * PAGE_BYTES;

/** A base that this process can map, or read. */
export interface OpenedBase {
  /** Of the pack its pages are from. */
  readonly sha256: string;
  readonly fd: number;
  readonly sizeBytes: number;
  close(): void;
}

/** Undefined, with a word about it, where the base cannot be had: the snapshot's packs have the same pages. */
export function openBase({ sha256, ram }: SnapshotBase, atLeastBytes: number): OpenedBase | undefined {
  try {
    if (ram.sizeBytes < atLeastBytes) throw new SealingFailed(`it has ${ram.sizeBytes} bytes; the machine has ${atLeastBytes}`);
    const fd = openRam(ram);
    return { sha256, fd, sizeBytes: ram.sizeBytes, close: () => closeSync(fd) };
  } catch (error) {
    console.error('The base cannot be mapped, and is copied:', error);
    return undefined;
  }
}

/** Gives a machine that never ran, and has its base, what a snapshot has over it. Answers which pages lie in layers above the first. */
export async function restorePages(ram: GuestRam, snapshot: Pick<OpenedSnapshot, 'pages'>): Promise<PageSet> {
  const layered = new PageSet(ram.pages);
  for await (const run of snapshot.pages()) {
    for (const { number, count, bytes } of inRows(run)) {
      ram.put(number, bytes);
      if (run.layer > 0) layered.addRun(number, count);
    }
  }
  return layered;
}

/** Puts a base into a machine that is all zero: mapped, or copied where that cannot be done. */
export function placeBase(ram: GuestRam, { fd, sizeBytes }: OpenedBase): void {
  if (ram.capability.mode !== 'Copy') return ram.mapBase(fd, sizeBytes / PAGE_BYTES);
  const chunk = Buffer.allocUnsafe(COPIED_AT_ONCE_BYTES);
  for (let at = 0; at < Math.min(sizeBytes, ram.pages * PAGE_BYTES); ) {
    const read = readSync(fd, chunk, 0, Math.min(chunk.length, sizeBytes - at), at);
    if (read === 0 || read % PAGE_BYTES !== 0) throw new SealingFailed('the base ends early');
    ram.put(at / PAGE_BYTES, chunk.subarray(0, read));
    at += read;
  }
}

/** Opens memory that another process holds, or a file that nobody writes to; the caller closes it. Throws SealingFailed. */
export function openRam(ram: BaseRam): number {
  return ram.type === 'Sealed' ? SealedMemory.open(ram) : openFile(ram);
}

function openFile({ path, sizeBytes }: Extract<BaseRam, { type: 'File' }>): number {
  const fd = openSync(path, 'r');
  const { size } = fstatSync(fd);
  if (size === sizeBytes) return fd;
  closeSync(fd);
  throw new SealingFailed(`the file has ${size} bytes, not ${sizeBytes}`);
}

/** Pieces whose numbers follow one another, together. */
function* inRows({ numbers, bytes }: PieceRun): Generator<{ readonly number: number; readonly count: number; readonly bytes: Uint8Array }> {
  for (let at = 0; at < numbers.length; ) {
    const number = numbers[at] ?? 0;
    let count = 1;
    while (numbers[at + count] === number + count) count += 1;
    yield { number, count, bytes: bytes.subarray(at * PAGE_BYTES, (at + count) * PAGE_BYTES) };
    at += count;
  }
}
