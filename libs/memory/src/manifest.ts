import { integer, list, Misshapen, nullable, object, oneOf, optional, type Shape, type ShapeOf, text } from '@corral/base/shape';
import { MAX_SNAPSHOT_SCREEN_BYTES } from '@corral/contracts/for-vm-process';
import { SnapshotMachine } from './machine.ts';
import { SnapshotError } from './snapshot.error.ts';

/** What is written. Version 1, where each snapshot is one complete pack per memory and disk, is still read. */
export const SNAPSHOT_FORMAT_VERSION = 2;
/** What a viewer of the serial line is shown of the time before it came, at most. */
export const MAX_SERIAL_BYTES = 256 * 1024;
export const MANIFEST_FILE = 'manifest.json';
/** No snapshot Corral takes has more (see layerPlan); a manifest that names more is not one of its own. */
const MAX_LAYERS = 64;

export const Sha256 = text({ pattern: /^[0-9a-f]{64}$/ });
const Size = integer({ min: 0 });
const PACK_KEY = /^packs\/[a-z0-9-]+\/([0-9a-f]{64})$/;
/** RFC 3339, in UTC. */
export const Timestamp: Shape<string> = (value, at = '') => {
  const said = text({ pattern: /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?Z$/ })(value, at);
  if (Number.isNaN(Date.parse(said))) throw new Misshapen(at, 'is no time there ever was');
  return said;
};

const fileEntry = {
  /** Relative to the manifest, one plain name. */
  name: text({ pattern: /^[a-z0-9][a-z0-9.-]*$/ }),
  sha256: Sha256,
  sizeBytes: Size,
};
const SnapshotFileEntry = object(fileEntry);
export type SnapshotFileEntry = ShapeOf<typeof SnapshotFileEntry>;

const LayerParts = object({
  sha256: Sha256,
  sizeBytes: Size,
  /** How many pages or clusters it holds. */
  pieces: Size,
  /** Of its index: who has only the manifest can verify any frame by it. Absent in packs whose index has no digests. */
  indexSha256: optional(Sha256),
  /** Where it lies in the object store. */
  key: text({ pattern: PACK_KEY }),
});
export type Layer = ShapeOf<typeof LayerParts>;

/** A pack of what changed since the layers below it: pages of memory, or clusters of a disk. */
export const Layer: Shape<Layer> = (value, at = '') => {
  const layer = LayerParts(value, at);
  if (PACK_KEY.exec(layer.key)?.[1] !== layer.sha256) throw new Misshapen(`${at}.key`, 'a layer’s key does not end in its digest');
  return layer;
};

const Layers = object({
  /** The base first; where two hold the same piece, the later one counts. */
  layers: list(Layer, { max: MAX_LAYERS }),
});
const Serial = object({ ...fileEntry, sizeBytes: integer({ min: 0, max: MAX_SERIAL_BYTES }) });

const ManifestV2 = object({
  formatVersion: oneOf(SNAPSHOT_FORMAT_VERSION),
  createdAt: Timestamp,
  machine: SnapshotMachine,
  /** SHA-256 of the manifest of the snapshot that this one was taken after, on the same line of time. */
  parent: nullable(Sha256),
  memory: Layers,
  devices: SnapshotFileEntry,
  /** Absent for a machine without a disk. */
  disk: optional(Layers),
  /** Absent where the guest had said nothing on its serial line, and in snapshots from before it was kept. */
  serial: optional(Serial),
  /** What it showed, for people. Absent where there was nothing to see, and in snapshots from before it was kept. */
  screen: optional(object({ ...fileEntry, sizeBytes: integer({ min: 0, max: MAX_SNAPSHOT_SCREEN_BYTES }) })),
});

const PackV1 = object({ ...fileEntry, pieces: Size });
const ManifestV1 = object({
  formatVersion: oneOf(1),
  createdAt: Timestamp,
  machine: SnapshotMachine,
  files: object({ memory: PackV1, devices: SnapshotFileEntry, disk: optional(PackV1), serial: optional(Serial) }),
});
const Version = object({ formatVersion: optional(integer()) });

/** `manifest.json`: every byte of a snapshot, by digest (docs/snapshot-format.md). One of version 1 reads as if each of its packs were a layer. */
export type SnapshotManifest = Omit<ShapeOf<typeof ManifestV2>, 'formatVersion'> & { readonly formatVersion: 1 | 2 };

/** The files that lie beside the manifest and that a machine needs to go on from it. */
export function filesOf({ devices, serial }: SnapshotManifest): SnapshotFileEntry[] {
  return [devices, ...(serial ? [serial] : [])];
}

/** All files that lie beside the manifest. */
export function storedFilesOf(manifest: SnapshotManifest): SnapshotFileEntry[] {
  return [...filesOf(manifest), ...(manifest.screen ? [manifest.screen] : [])];
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
  const version = read(Version, value).formatVersion ?? SNAPSHOT_FORMAT_VERSION;
  switch (version) {
    case 1:
      return fromV1(read(ManifestV1, value), folderKey);
    case SNAPSHOT_FORMAT_VERSION:
      return read(ManifestV2, value);
    default:
      throw new SnapshotError('SnapshotIncompatible', `the snapshot’s format is version ${version}; this node reads versions 1 and ${SNAPSHOT_FORMAT_VERSION}`);
  }
}

function fromV1({ createdAt, machine, files: { memory, devices, disk, serial } }: ShapeOf<typeof ManifestV1>, folderKey: string): SnapshotManifest {
  const layers = ({ name, sha256, sizeBytes, pieces }: ShapeOf<typeof PackV1>): { layers: Layer[] } => ({
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

function read<T>(shape: Shape<T>, value: unknown): T {
  try {
    return shape(value);
  } catch (error) {
    if (!(error instanceof Misshapen)) throw error;
    throw new SnapshotError('SnapshotCorrupt', `the snapshot’s manifest is damaged: ${error.message}`, { cause: error });
  }
}
