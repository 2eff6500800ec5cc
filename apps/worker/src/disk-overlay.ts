import { rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Where a VM process keeps the clusters its guest wrote; their index lies beside it. Without a disk there is neither. */
export const overlayPath = (machineFolder: string): string => join(machineFolder, 'disk.overlay');

/** Where a restore writes the disk its snapshot brings. It takes the overlay's name once it is whole, and replaces it. */
export const restoringPath = (machineFolder: string): string => `${overlayPath(machineFolder)}.restoring`;

const indexOf = (path: string): string => `${path}.index`;

/** Removes what an earlier restore left. */
export async function clearRestoring(machineFolder: string): Promise<void> {
  const restoring = restoringPath(machineFolder);
  // The index first: alone it would say that a replacement was under way.
  for (const path of [indexOf(restoring), restoring]) await rm(path, { force: true });
}

/** Makes the restored disk the machine's: its clusters, then their index. `settleOverlay` ends what ends between the two. */
export async function replaceOverlay(machineFolder: string): Promise<void> {
  const [restoring, overlay] = [restoringPath(machineFolder), overlayPath(machineFolder)];
  await rename(restoring, overlay).catch(ignoreMissing);
  await rename(indexOf(restoring), indexOf(overlay)).catch(ignoreMissing);
}

/** After a process ended, at whatever moment: the machine's disk is whole, the one it had or the one that was restored. */
export async function settleOverlay(machineFolder: string): Promise<void> {
  const isIncomplete = (await stat(restoringPath(machineFolder)).catch(() => undefined)) !== undefined;
  await (isIncomplete ? clearRestoring(machineFolder) : replaceOverlay(machineFolder));
}

/** Whether the guest has written to its disk. */
export async function isOverlayWritten(machineFolder: string): Promise<boolean> {
  const overlay = await stat(overlayPath(machineFolder)).catch(() => undefined);
  return (overlay?.size ?? 0) > 0;
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
