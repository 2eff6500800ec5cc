import { z } from 'zod';
import { SnapshotMachine } from './machine.ts';
import { SnapshotError } from './snapshot.error.ts';

/** What is written. Version 1, where each snapshot is one complete pack per memory and disk, is still read. */
export const SNAPSHOT_FORMAT_VERSION = 2;
/** What a viewer of the serial line is shown of the time before it came, at most. */
export const MAX_SERIAL_BYTES = 256 * 1024;
export const MANIFEST_FILE = 'manifest.json';
/** No snapshot Corral takes has more (see layerPlan); a manifest that names more is not one of its own. */
const MAX_LAYERS = 64;

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const Size = z.number().int().nonnegative();
const PACK_KEY = /^packs\/[a-z0-9-]+\/([0-9a-f]{64})$/;

const SnapshotFileEntry = z.object({
  /** Relative to the manifest, one plain name. */
  name: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/),
  sha256: Sha256,
  sizeBytes: Size,
});
export type SnapshotFileEntry = z.output<typeof SnapshotFileEntry>;

/** A pack of what changed since the layers below it: pages of memory, or clusters of a disk. */
export const Layer = z
  .object({
    sha256: Sha256,
    sizeBytes: Size,
    /** How many pages or clusters it holds. */
    pieces: Size,
    /** Of its index: who has only the manifest can verify any frame by it. Absent in packs whose index has no digests. */
    indexSha256: Sha256.optional(),
    /** Where it lies in the object store. */
    key: z.string().regex(PACK_KEY),
  })
  .refine(({ key, sha256 }) => PACK_KEY.exec(key)?.[1] === sha256, { error: 'a layer’s key does not end in its digest', path: ['key'] });
export type Layer = z.output<typeof Layer>;

const Layers = z.object({
  /** The base first; where two hold the same piece, the later one counts. */
  layers: z.array(Layer).max(MAX_LAYERS),
});

const ManifestV2 = z.object({
  formatVersion: z.literal(SNAPSHOT_FORMAT_VERSION),
  createdAt: z.iso.datetime(),
  machine: SnapshotMachine,
  /** SHA-256 of the manifest of the snapshot that this one was taken after, on the same line of time. */
  parent: Sha256.nullable(),
  memory: Layers,
  devices: SnapshotFileEntry,
  /** Absent for a machine without a disk. */
  disk: Layers.optional(),
  /** Absent where the guest had said nothing on its serial line, and in snapshots from before it was kept. */
  serial: SnapshotFileEntry.extend({ sizeBytes: Size.max(MAX_SERIAL_BYTES) }).optional(),
});

const PackV1 = SnapshotFileEntry.extend({ pieces: Size });
const ManifestV1 = z.object({
  formatVersion: z.literal(1),
  createdAt: z.iso.datetime(),
  machine: SnapshotMachine,
  files: z.object({
    memory: PackV1,
    devices: SnapshotFileEntry,
    disk: PackV1.optional(),
    serial: ManifestV2.shape.serial,
  }),
});

/** `manifest.json`: every byte of a snapshot, by digest (docs/snapshot-format.md). One of version 1 reads as if each of its packs were a layer. */
export type SnapshotManifest = Omit<z.output<typeof ManifestV2>, 'formatVersion'> & { readonly formatVersion: 1 | 2 };

/** The files that lie beside the manifest. */
export function filesOf({ devices, serial }: SnapshotManifest): SnapshotFileEntry[] {
  return [devices, ...(serial ? [serial] : [])];
}

/** Every pack a snapshot lies on, each place once. */
export function layersOf({ memory, disk }: Pick<SnapshotManifest, 'memory' | 'disk'>): Layer[] {
  return [...new Map([...memory.layers, ...(disk?.layers ?? [])].map((layer) => [layer.key, layer])).values()];
}

/** Where a namespace keeps a pack. Packs are shared inside a namespace and never across. */
export function packKey(namespace: string, sha256: string): string {
  return `packs/${namespace}/${sha256}`;
}

/** A layer under the name that a namespace's own snapshots have for it; only those of version 1 have none yet. */
export function adopted(layer: Layer, namespace: string): Layer {
  return PACK_KEY.test(layer.key) ? layer : { ...layer, key: packKey(namespace, layer.sha256) };
}

export function encodeManifest(manifest: SnapshotManifest): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify({ ...manifest, formatVersion: SNAPSHOT_FORMAT_VERSION }, undefined, 2)}\n`);
}

/**
 * Throws SnapshotError: Incompatible for a format of another version, Corrupt for anything else that is no manifest.
 * `folderKey` is where the manifest lies in the object store: packs of version 1 lie beside it.
 */
export function decodeManifest(bytes: Uint8Array, folderKey = ''): SnapshotManifest {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new SnapshotError('SnapshotCorrupt', 'the snapshot’s manifest is not JSON', { cause: error });
  }
  const version = z.object({ formatVersion: z.number() }).safeParse(value).data?.formatVersion ?? SNAPSHOT_FORMAT_VERSION;
  switch (version) {
    case 1:
      return fromV1(parse(ManifestV1, value), folderKey);
    case SNAPSHOT_FORMAT_VERSION:
      return parse(ManifestV2, value);
    default:
      throw new SnapshotError('SnapshotIncompatible', `the snapshot’s format is version ${version}; this node reads versions 1 and ${SNAPSHOT_FORMAT_VERSION}`);
  }
}

function fromV1({ createdAt, machine, files: { memory, devices, disk, serial } }: z.output<typeof ManifestV1>, folderKey: string): SnapshotManifest {
  const layers = ({ name, sha256, sizeBytes, pieces }: z.output<typeof PackV1>): { layers: Layer[] } => ({
    layers: [{ sha256, sizeBytes, pieces, key: folderKey === '' ? name : `${folderKey}/${name}` }],
  });
  return {
    formatVersion: 1,
    createdAt,
    machine,
    parent: null,
    memory: layers(memory),
    devices,
    ...(disk ? { disk: layers(disk) } : {}),
    ...(serial ? { serial } : {}),
  };
}

function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new SnapshotError('SnapshotCorrupt', `the snapshot’s manifest is damaged: ${z.prettifyError(parsed.error)}`);
}

