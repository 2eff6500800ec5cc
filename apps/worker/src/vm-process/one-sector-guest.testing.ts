import { truncate, writeFile } from 'node:fs/promises';
import { eventually, type ForkedVm } from './forked-vm.testing.ts';

/**
 * A guest in one sector, for tests that need one that is up at once: for each byte N it reads from its serial line, it writes into the first sector of cluster N
 * what it was sent and how often it wrote so far, and answers a dot. Source: INT 13h, AH=43h, extended write; NS16550, line status.
 */
const PROGRAM = Buffer.from(
  [
    '31c0 8ed8 8ec0 8ed0 bc007c', //      segments and stack
    'bafd03 ec a801 74f8', //             wait until a byte is there
    'baf803 ec a20080 fe060180', //       into the buffer at 8000h, and count in the byte after it
    '30e4 c1e003 a3447c', //              its cluster's first sector
    'be3c7c b80043 b280 cd13', //         write it
    'b02e 7302 b021', //                  a dot, or an exclamation mark
    'baf803 ee ebcf', //                  say so; again
    '1000 0100 0080 0000 0000000000000000', // the disk address packet, at 7c3ch
  ].join('').replaceAll(' ', ''),
  'hex',
);
const BOOTABLE = 0xaa55;

/** The disk it boots from. */
export async function makeOneSectorDisk(path: string, bytes: number): Promise<void> {
  const sector = Buffer.alloc(512);
  PROGRAM.copy(sector);
  sector.writeUInt16LE(BOOTABLE, 510);
  await writeFile(path, sector);
  await truncate(path, bytes);
}

/** Has the guest write to these clusters, one after the other. */
export async function writeClusters(vm: ForkedVm, ...clusters: readonly number[]): Promise<void> {
  const line = await vm.socket('/serial');
  for (const [at, cluster] of clusters.entries()) {
    line.send(Buffer.of(cluster));
    await eventually(`cluster ${cluster} is written`, () => line.text().length > at, 60_000);
  }
  line.terminate();
  if (line.text() !== '.'.repeat(clusters.length)) throw new Error(`the guest could not write: ${line.text()}`);
}
