import type { SnapshotTaken } from '@corral/contracts';
import { layerPlan, type Lineage, lineageOf, writeSnapshot, type SnapshotContent } from '@corral/memory';
import { capture, type CapturedMachine } from './capture.ts';
import { previewOf } from './screen.preview.ts';

/** Of what it is a snapshot, and whose packs it shares. */
export type SnapshotIdentity = Pick<SnapshotContent, 'machine' | 'namespace'>;

/** A machine's state at one moment, held in this process until it is written. */
export interface CopiedState {
  /** Once. Where it fails, the next snapshot holds what this one would have. */
  write(directory: string, identity: SnapshotIdentity): Promise<WrittenState>;
}

export interface WrittenState {
  readonly taken: SnapshotTaken;
  /** What the next one builds on. */
  readonly lineage: Lineage;
}

/** Copies what changed of a machine since the snapshot it builds on, or since before the layers that are `lost`. The guest stands still only for the end of it. */
export async function takeSnapshot(machine: CapturedMachine, lineage: Lineage, lost: ReadonlySet<string> = new Set()): Promise<CopiedState> {
  const { memory } = machine;
  const [scope, disk] = [memory.scope(lineage.memory, lost), layerPlan(lineage.disk, lost)];
  const captured = await capture(machine, { pages: () => memory.changed(scope), disk: disk.scope, moment: () => memory.moment(scope) });
  const { createdAt, pauseMs, pages, moment, devices, said, clusters } = captured;
  return {
    async write(directory, identity) {
      try {
        const [changed, screen] = [moment.pagesOf(pages), await previewOf(machine.emulator.screen)];
        const { files, manifest, content } = await writeSnapshot(directory, {
          ...identity,
          createdAt,
          parent: lineage.parent,
          memory: { below: moment.below, pieces: pages.pieces(changed) },
          devices,
          serial: said,
          ...(screen ? { screen } : {}),
          ...(clusters ? { disk: { below: disk.below, pieces: clusters.clusters() } } : {}),
        });
        moment.adopt(changed);
        clusters?.keep();
        return { taken: { pauseMs, files, manifest }, lineage: lineageOf(manifest.sha256, content) };
      } catch (error) {
        moment.abandon();
        clusters?.giveUp();
        throw error;
      } finally {
        pages.free();
      }
    },
  };
}
