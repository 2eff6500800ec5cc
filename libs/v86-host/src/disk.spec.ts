import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { CLUSTER_BYTES, OverlayDisk } from './disk.ts';

/** Not a whole number of clusters: the last one ends early. */
const DISK_BYTES = CLUSTER_BYTES * 5 + 512;
const base = Uint8Array.from({ length: DISK_BYTES }, (_, at) => at % 251);
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'corral-disk-'));
  writeFileSync(join(directory, 'base'), base);
});
afterEach(() => rmSync(directory, { recursive: true }));

const write = fc
  .tuple(fc.nat(DISK_BYTES / 512 - 1), fc.integer({ min: 1, max: 20 }), fc.nat(255))
  .map(([sector, sectors, fill]) => ({ start: sector * 512, length: Math.min(sectors * 512, DISK_BYTES - sector * 512), fill }));

function open(): OverlayDisk {
  return new OverlayDisk(join(directory, 'base'), join(directory, 'overlay'));
}

it('reads back what was written over the image, also after it was opened again', () => {
  fc.assert(
    fc.property(fc.array(write, { maxLength: 12 }), fc.nat(12), (writes, reopenAfter) => {
      rmSync(join(directory, 'overlay'), { force: true });
      rmSync(join(directory, 'overlay.index'), { force: true });
      const expected = base.slice();
      let disk = open();
      writes.forEach(({ start, length, fill }, position) => {
        if (position === reopenAfter) {
          disk.close();
          disk = open();
        }
        disk.set(start, new Uint8Array(length).fill(fill), () => undefined);
        expected.fill(fill, start, start + length);
      });
      // Buffer.equals: Jest's own comparison takes a second for these sizes.
      expect(Buffer.from(disk.get_from_cache(0, DISK_BYTES)).equals(expected)).toBe(true);
      disk.close();
    }),
  );
});

it('shows frozen clusters as they were, whatever is written meanwhile', () => {
  fc.assert(
    fc.property(fc.array(write, { minLength: 1, maxLength: 6 }), fc.array(write, { maxLength: 6 }), (before, meanwhile) => {
      rmSync(join(directory, 'overlay'), { force: true });
      rmSync(join(directory, 'overlay.index'), { force: true });
      const disk = open();
      const apply = ({ start, length, fill }: (typeof before)[number]): void => disk.set(start, new Uint8Array(length).fill(fill), () => undefined);
      before.forEach(apply);
      const whole = disk.get_from_cache(0, DISK_BYTES);
      const frozen = disk.freeze('Everything');
      meanwhile.forEach(apply);
      const seen = base.slice();
      for (const { number, bytes } of frozen.clusters()) seen.set(bytes.subarray(0, DISK_BYTES - number * CLUSTER_BYTES), number * CLUSTER_BYTES);
      expect(Buffer.from(seen).equals(whole)).toBe(true);
      frozen.keep();
      disk.close();
    }),
  );
});

it('takes whole clusters over, as a restore writes them', () => {
  const disk = open();
  disk.writeClusters({ numbers: Uint32Array.of(3, 0), bytes: new Uint8Array(2 * CLUSTER_BYTES).fill(7), layer: 0 });
  expect(disk.changedClusters).toBe(2);
  expect([...disk.get_from_cache(3 * CLUSTER_BYTES - 1, 2)]).toEqual([base[3 * CLUSTER_BYTES - 1], 7]);
  disk.close();
});

it('freezes what changed since the last snapshot, and that again when nothing came of it', () => {
  const disk = open();
  const write = (cluster: number): void => disk.set(cluster * CLUSTER_BYTES, new Uint8Array(512).fill(cluster), () => undefined);
  const numbers = (end: 'keep' | 'giveUp'): number[] => {
    const frozen = disk.freeze('SinceSnapshot');
    const found = [...frozen.clusters()].map(({ number }) => number);
    frozen[end]();
    return found;
  };
  disk.writeClusters({ numbers: Uint32Array.of(0), bytes: new Uint8Array(CLUSTER_BYTES), layer: 1 });
  write(2);
  expect(numbers('giveUp')).toEqual([2]);
  write(1);
  expect(numbers('keep').sort()).toEqual([1, 2]);
  write(2);
  expect([numbers('keep'), numbers('keep')]).toEqual([[2], []]);
  disk.close();
  // Its overlay alone does not say what a snapshot has: so all of it counts.
  const again = open();
  expect(again.freeze('SinceSnapshot').count).toBe(3);
  again.close();
});

it('refuses writes to a disc that has no overlay', () => {
  const disc = new OverlayDisk(join(directory, 'base'));
  disc.set(0, new Uint8Array(512).fill(1), () => undefined);
  expect(Buffer.from(disc.get_from_cache(0, 512)).equals(base.subarray(0, 512))).toBe(true);
  disc.close();
});

/** Writes clusters until that fails, under a limit of the host on how large a file may become, and says which of them are not what was written. Source: ulimit(1p). */
const FULL = `
const { OverlayDisk } = await import(process.argv[1]);
const disk = new OverlayDisk(process.argv[2], process.argv[3]);
const written = [];
try {
  for (let cluster = 0; cluster < 5; cluster += 1) {
    disk.set(cluster * 4096, new Uint8Array(4096).fill(cluster + 100), () => written.push(cluster));
  }
} catch (error) {
  console.log(error.code, written.filter((cluster) => disk.get_from_cache(cluster * 4096, 4096).some((byte) => byte !== cluster + 100)).length);
}`;

it('says what was written only where all of it was, also when the host has no more room', () => {
  // Two and a half kilobytes, or five: in the middle of a cluster.
  const limited = 'ulimit -f 5; exec "$0" --conditions=@corral/source --disable-warning=ExperimentalWarning --input-type=module -e "$@"';
  const program = pathToFileURL(join(import.meta.dirname, 'disk.ts')).href;
  const said = execFileSync('sh', ['-c', limited, process.execPath, FULL, program, join(directory, 'base'), join(directory, 'overlay')], { encoding: 'utf8' });
  expect(said.trim()).toBe('EFBIG 0');
});
