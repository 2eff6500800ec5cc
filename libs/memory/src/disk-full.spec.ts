import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

/** Writes a snapshot of so many random pages, under a limit of the host on how large a file may become. Source: ulimit(1p), setrlimit(2) RLIMIT_FSIZE. */
const PROGRAM = `
const { writeSnapshot } = await import(process.argv[1]);
const { randomBytes } = await import('node:crypto');
const pages = function* () { for (let number = 0; number < Number(process.argv[3]); number += 1) yield { number, bytes: randomBytes(4096) }; };
const machine = { v86Build: 'b', memoryMiB: 16, imageDigest: 'i'.repeat(2000), devices: { acpi: false, disk: false, cdrom: false, floppy: false } };
try {
  await writeSnapshot(process.argv[2], { machine, createdAt: new Date(), parent: null, namespace: 'default', memory: { below: [], pieces: pages() }, devices: randomBytes(100) });
  console.log('written');
} catch (error) {
  console.log(error.name, error.reason);
}`;

describe('Where there is no room', () => {
  let directory: string;
  beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), 'corral-full-'))));
  afterEach(() => rm(directory, { recursive: true }));

  const write = async (pages: number, blocks = 512): Promise<string> => {
    const program = pathToFileURL(join(import.meta.dirname, 'snapshot.write.ts')).href;
    // Of 512 bytes, or of 1024.
    const limited = `ulimit -f ${blocks}; exec "$0" --conditions=@corral/source --disable-warning=ExperimentalWarning --input-type=module -e "$@"`;
    const { stdout } = await promisify(execFile)('sh', ['-c', limited, process.execPath, PROGRAM, program, directory, String(pages)]);
    return stdout.trim();
  };

  it('a snapshot is refused with that reason, and nothing of it is left', async () => {
    expect(await write(1000)).toBe('SnapshotError DiskFull');
    expect(await readdir(directory)).toEqual([]);
  }, 30_000);

  // The host writes as much as fits, and refuses only the rest.
  it('one whose last bytes alone do not fit is refused as well', async () => {
    expect(await write(0, 2)).toBe('SnapshotError DiskFull');
    expect(await readdir(directory)).toEqual([]);
  }, 30_000);

  it('one that fits is written all the same', async () => {
    expect(await write(10)).toBe('written');
    expect(await readdir(directory)).toContain('manifest.json');
  }, 30_000);
});
