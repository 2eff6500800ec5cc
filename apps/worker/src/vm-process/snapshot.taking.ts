import type { SnapshotTaken } from '@corral/contracts';
import { layerPlan, type Lineage, lineageOf, PIECE_BYTES, writeSnapshot, type Piece, type SnapshotContent } from '@corral/memory';
import type { ChangeScope, CopiedPages, Emulator } from '@corral/v86-host';
import type { SerialHub } from './serial.hub.ts';

/** Of what it is a snapshot, and whose packs it shares. */
export type SnapshotIdentity = Pick<SnapshotContent, 'machine' | 'namespace'>;

/** A machine's state at one moment, held in this process until it is written. */
export interface CopiedState {
  write(directory: string, identity: SnapshotIdentity): Promise<WrittenState>;
}

export interface WrittenState {
  readonly taken: SnapshotTaken;
  /** What the next one builds on. */
  readonly lineage: Lineage;
}

/** Stops the guest, copies what it is, and lets it run on. The disk is not copied: it keeps old clusters while it is frozen. */
export async function takeSnapshot(emulator: Emulator, serial: SerialHub, lineage: Lineage, mayRun: () => boolean): Promise<CopiedState> {
  const begun = performance.now();
  const disk = layerPlan(lineage.disk);
  const { createdAt, pages, devices, said, clusters } = await copyOf(emulator, serial, disk.scope, mayRun);
  const pauseMs = Math.ceil(performance.now() - begun);
  return {
    async write(directory, identity) {
      try {
        const { files, manifest, content } = await writeSnapshot(directory, {
          ...identity,
          createdAt,
          parent: lineage.parent,
          memory: { below: [], pieces: piecesOf(pages) },
          devices,
          serial: said,
          ...(clusters ? { disk: { below: disk.below, pieces: clusters.clusters() } } : {}),
        });
        clusters?.keep();
        return { taken: { pauseMs, files, manifest }, lineage: lineageOf(manifest.sha256, content) };
      } catch (error) {
        clusters?.giveUp();
        throw error;
      }
    },
  };
}

async function copyOf(emulator: Emulator, serial: SerialHub, diskScope: ChangeScope, mayRun: () => boolean) {
  await emulator.pause();
  try {
    return {
      createdAt: new Date(),
      pages: emulator.memory.copyNonZeroPages(),
      devices: emulator.saveDevices(),
      said: serial.tail,
      // The disk last: only what has been copied wholly is written, and lets go of it.
      clusters: emulator.disk?.freeze(diskScope),
    };
  } finally {
    if (mayRun()) emulator.run();
  }
}

function* piecesOf({ numbers, bytes }: CopiedPages): Generator<Piece> {
  for (let at = 0; at < numbers.length; at += 1) {
    const number = numbers[at];
    if (number !== undefined) yield { number, bytes: bytes.subarray(at * PIECE_BYTES, (at + 1) * PIECE_BYTES) };
  }
}
