import { z } from 'zod';
import { SnapshotError } from './snapshot.error.ts';

export const SNAPSHOT_FORMAT_VERSION = 1;
/** What a viewer of the serial line is shown of the time before it came, at most. */
export const MAX_SERIAL_BYTES = 256 * 1024;
export const MANIFEST_FILE = 'manifest.json';

const SnapshotFileEntry = z.object({
  /** Relative to the snapshot's directory, one plain name. */
  name: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  sizeBytes: z.number().int().nonnegative(),
});
export type SnapshotFileEntry = z.output<typeof SnapshotFileEntry>;

/** What the saved device state belongs to: a machine that differs in any of it cannot take the state over. */
export const SnapshotMachine = z.object({
  v86Build: z.string(),
  memoryMiB: z.number().int().positive(),
  imageDigest: z.string(),
  devices: z.object({ acpi: z.boolean(), disk: z.boolean(), cdrom: z.boolean(), floppy: z.boolean() }),
});
export type SnapshotMachine = z.output<typeof SnapshotMachine>;

/** `manifest.json`: every byte of a snapshot, by digest (docs/snapshot-format.md). */
export const SnapshotManifest = z.object({
  formatVersion: z.literal(SNAPSHOT_FORMAT_VERSION),
  createdAt: z.iso.datetime(),
  machine: SnapshotMachine,
  /** Manifest digests of the snapshots whose pieces show through; null in version 1, where each snapshot is complete. */
  base: z.null(),
  parent: z.null(),
  files: z.object({
    memory: SnapshotFileEntry.extend({ pieces: z.number().int().nonnegative() }),
    devices: SnapshotFileEntry,
    /** Absent for a machine without a disk. */
    disk: SnapshotFileEntry.extend({ pieces: z.number().int().nonnegative() }).optional(),
    /** Absent where the guest had said nothing on its serial line, and in snapshots from before it was kept. */
    serial: SnapshotFileEntry.extend({ sizeBytes: z.number().int().nonnegative().max(MAX_SERIAL_BYTES) }).optional(),
  }),
});
export type SnapshotManifest = z.output<typeof SnapshotManifest>;

/** Every file but the manifest. */
export function filesOf({ files: { memory, devices, disk, serial } }: SnapshotManifest): SnapshotFileEntry[] {
  return [memory, devices, ...(disk ? [disk] : []), ...(serial ? [serial] : [])];
}

export function encodeManifest(manifest: SnapshotManifest): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(manifest, undefined, 2)}\n`);
}

/** Throws SnapshotError: Incompatible for a format of another version, Corrupt for anything else that is no manifest. */
export function decodeManifest(bytes: Uint8Array): SnapshotManifest {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new SnapshotError('SnapshotCorrupt', 'the snapshot’s manifest is not JSON', { cause: error });
  }
  const version = z.object({ formatVersion: z.number() }).safeParse(value);
  if (version.success && version.data.formatVersion !== SNAPSHOT_FORMAT_VERSION) {
    throw new SnapshotError(
      'SnapshotIncompatible',
      `the snapshot’s format is version ${version.data.formatVersion}; this node reads version ${SNAPSHOT_FORMAT_VERSION}`,
    );
  }
  const parsed = SnapshotManifest.safeParse(value);
  if (!parsed.success) {
    throw new SnapshotError('SnapshotCorrupt', `the snapshot’s manifest is damaged: ${z.prettifyError(parsed.error)}`);
  }
  return parsed.data;
}

/** Why a machine cannot take over a snapshot, in words that name both sides; undefined when it can. */
export function incompatibility(snapshot: SnapshotMachine, machine: SnapshotMachine): string | undefined {
  if (snapshot.v86Build !== machine.v86Build) {
    return `the snapshot was taken by v86 build ${snapshot.v86Build}; this node runs ${machine.v86Build}`;
  }
  if (snapshot.memoryMiB !== machine.memoryMiB) {
    return `the snapshot has ${snapshot.memoryMiB}Mi of memory; the machine has ${machine.memoryMiB}Mi`;
  }
  if (snapshot.imageDigest !== machine.imageDigest) {
    return `the snapshot is of image ${snapshot.imageDigest}; the machine’s image is ${machine.imageDigest}`;
  }
  const differing = (['acpi', 'disk', 'cdrom', 'floppy'] as const).find(
    (device) => snapshot.devices[device] !== machine.devices[device],
  );
  return differing && `the snapshot’s machine has ${differing} ${onOff(snapshot.devices[differing])}; this one has it ${onOff(machine.devices[differing])}`;
}

function onOff(present: boolean): string {
  return present ? 'on' : 'off';
}
