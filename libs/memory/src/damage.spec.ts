import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { type SnapshotMachine, incompatibility } from './machine.ts';
import { decodeManifest, encodeManifest, layersOf, packKey, type SnapshotManifest } from './manifest.ts';
import { encodePack, PackReader, PIECE_BYTES, type Piece } from './pack.ts';
import { SnapshotError } from './snapshot.error.ts';
import { openSnapshot } from './snapshot.read.ts';
import { writeSnapshot, type WrittenSnapshot } from './snapshot.write.ts';

const machine: SnapshotMachine = { v86Build: 'b', memoryMiB: 16, imageDigest: 'i', devices: { acpi: true, disk: true, cdrom: false, floppy: false, balloon: false } };
const piece = (number: number): Piece => ({ number, bytes: new Uint8Array(PIECE_BYTES).fill(number) });

/** Some damage to some bytes: bits flipped, a piece overwritten, cut out, put in twice, cut off. */
const damage = fc.oneof(
  fc.tuple(fc.nat(), fc.nat(7)).map(([at, bit]) => (bytes: Uint8Array) => bytes.map((byte, index) => (index === at % bytes.length ? byte ^ (1 << bit) : byte))),
  fc.tuple(fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 40 })).map(([at, over]) => (bytes: Uint8Array) => {
    const copy = bytes.slice();
    copy.set(over.subarray(0, copy.length - (at % copy.length)), at % copy.length);
    return copy;
  }),
  fc.tuple(fc.nat(), fc.integer({ min: 1, max: 400 })).map(([at, length]) => (bytes: Uint8Array) => Uint8Array.from([...bytes.subarray(0, at % bytes.length), ...bytes.subarray((at % bytes.length) + length)])),
  fc.tuple(fc.nat(), fc.integer({ min: 1, max: 400 })).map(([at, length]) => (bytes: Uint8Array) => Uint8Array.from([...bytes.subarray(0, at % bytes.length), ...bytes.subarray(at % bytes.length, (at % bytes.length) + length), ...bytes.subarray(at % bytes.length)])),
  fc.nat().map((end) => (bytes: Uint8Array) => bytes.slice(0, end % bytes.length)),
);

async function packOf(pieces: readonly Piece[]): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of encodePack(pieces)) chunks.push(chunk);
  return Uint8Array.from(Buffer.concat(chunks));
}

async function readAll(pack: Uint8Array): Promise<number> {
  const reader = await PackReader.open({ sizeBytes: pack.length, read: (offset, length) => Promise.resolve(pack.subarray(offset, offset + length)) });
  let pieces = 0;
  for await (const { numbers, bytes } of reader.runs()) {
    expect(bytes.length).toBe(numbers.length * PIECE_BYTES);
    pieces += numbers.length;
  }
  return pieces;
}

describe('A pack', () => {
  it('however damaged, reads as whole pieces or is a SnapshotError', async () => {
    const pack = await packOf(Array.from({ length: 130 }, (_, number) => piece(number)));
    await fc.assert(
      fc.asyncProperty(damage, async (harm) => {
        const found = await readAll(harm(pack)).catch((error: unknown) => error);
        if (typeof found !== 'number') expect(found).toBeInstanceOf(SnapshotError);
      }),
      { numRuns: 300 },
    );
  });

  it('of any bytes at all is a SnapshotError', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => expect(await readAll(bytes).catch((error: unknown) => error)).toBeInstanceOf(SnapshotError)));
  });

  it('whose end promises more than there is is refused before anything is made ready for it', async () => {
    const pack = await packOf([piece(1)]);
    await fc.assert(
      fc.asyncProperty(fc.nat(0xffff_ffff), fc.nat(0xffff_ffff), async (pieces, frames) => {
        const lying = pack.slice();
        const view = new DataView(lying.buffer, lying.length - 32);
        view.setUint32(0, pieces, true);
        view.setUint32(4, frames, true);
        const found = await readAll(lying).catch((error: unknown) => error);
        if (pieces !== 1 || frames !== 1) expect(found).toBeInstanceOf(SnapshotError);
      }),
    );
  });
});

const sha256 = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const namespace = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?$/);
const layer = fc.tuple(sha256, fc.nat(), fc.nat(), namespace).map(([digest, sizeBytes, pieces, owner]) => ({ sha256: digest, sizeBytes, pieces, key: packKey(owner, digest) }));
const manifest: fc.Arbitrary<SnapshotManifest> = fc.record({
  formatVersion: fc.constant(2 as const),
  createdAt: fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true }).map((date) => date.toISOString()),
  machine: fc.constant(machine),
  parent: fc.option(sha256, { nil: null }),
  memory: fc.record({ layers: fc.array(layer, { maxLength: 9 }) }),
  devices: fc.record({ name: fc.constant('devices.bin'), sha256, sizeBytes: fc.nat() }),
  disk: fc.record({ layers: fc.array(layer, { maxLength: 9 }) }),
});

describe('A manifest', () => {
  it('is read as it was written', () => {
    fc.assert(fc.property(manifest, (written) => expect(decodeManifest(encodeManifest(written))).toEqual(written)));
  });

  it('however damaged, is a manifest or a SnapshotError', () => {
    fc.assert(
      fc.property(manifest, damage, (written, harm) => {
        try {
          layersOf(decodeManifest(harm(encodeManifest(written))));
        } catch (error) {
          expect(error).toBeInstanceOf(SnapshotError);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('of any JSON at all is a SnapshotError', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(() => decodeManifest(new TextEncoder().encode(text))).toThrow(SnapshotError);
      }),
    );
  });

  it.each<[string, (text: string) => string]>([
    ['a layer whose key is not its digest’s', (text) => text.replace(/"key": "packs\/[^"]*"/, `"key": "packs/default/${'0'.repeat(64)}"`)],
    ['a layer that lies nowhere packs do', (text) => text.replace(/"key": "packs\//, '"key": "secrets/')],
    ['a file that lies elsewhere', (text) => text.replace('devices.bin', '../devices.bin')],
    ['more memory than any machine has', (text) => text.replace('"memoryMiB": 16', '"memoryMiB": 16000000')],
  ])('that names %s is refused', (_what, change) => {
    const text = new TextDecoder().decode(encodeManifest({ ...WRITTEN, memory: { layers: [LAYER] } }));
    expect(() => decodeManifest(new TextEncoder().encode(change(text)))).toThrow(expect.objectContaining({ reason: 'SnapshotCorrupt' }));
    expect(decodeManifest(new TextEncoder().encode(text)).memory.layers).toEqual([LAYER]);
  });
});

const LAYER = { sha256: 'a'.repeat(64), sizeBytes: 1, pieces: 1, key: packKey('default', 'a'.repeat(64)) };
const WRITTEN: SnapshotManifest = { formatVersion: 2, createdAt: '2026-01-01T00:00:00.000Z', machine, parent: null, memory: { layers: [] }, devices: { name: 'devices.bin', sha256: 'b'.repeat(64), sizeBytes: 1 } };

describe('A snapshot', () => {
  let directory: string;
  let written: WrittenSnapshot;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'corral-damage-'));
    written = await writeSnapshot(directory, {
      machine, createdAt: new Date(0), parent: null, namespace: 'default', devices: new Uint8Array(3000).map((_, at) => at % 7), serial: new Uint8Array(10).fill(65),
      memory: { below: [], pieces: [3, 1, 2].map(piece) },
      disk: { below: [], pieces: [piece(9)] },
    });
  });
  afterAll(() => rm(directory, { recursive: true }));

  async function restore(): Promise<string> {
    const snapshot = await openSnapshot(directory);
    try {
      const difference = incompatibility(snapshot.manifest.machine, machine);
      if (difference !== undefined) throw new SnapshotError('SnapshotIncompatible', difference);
      const seen: string[] = [Buffer.from(await snapshot.devices()).toString('latin1'), Buffer.from(await snapshot.serial()).toString()];
      for await (const { numbers, bytes } of snapshot.pages()) seen.push(`${numbers.join()}:${Buffer.from(bytes).toString('latin1')}`);
      for await (const { numbers, bytes } of snapshot.clusters()) seen.push(`${numbers.join()}:${Buffer.from(bytes).toString('latin1')}`);
      await snapshot.verified;
      return seen.join('\n');
    } finally {
      await snapshot.close();
    }
  }

  it('with any byte of any file changed is what it was, or a SnapshotError; never anything else', async () => {
    const whole = await restore();
    await fc.assert(
      fc.asyncProperty(fc.nat(written.files.length - 1), damage, async (index, harm) => {
        const path = join(directory, written.files[index]?.name ?? '');
        const before = await readFile(path);
        await writeFile(path, harm(before));
        const found = await restore().catch((error: unknown) => error);
        await writeFile(path, before);
        if (typeof found === 'string') {
          // The manifest is named by its digest elsewhere: what differs in it alone can be when it was taken, or what came before.
          if (index < written.files.length - 1) expect(found === whole).toBe(true);
        } else expect(found).toBeInstanceOf(SnapshotError);
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});
