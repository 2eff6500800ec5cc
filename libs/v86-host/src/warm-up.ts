import { setTimeout as delay } from 'node:timers/promises';
import { Emulator } from './emulator.ts';
import type { FirmwarePaths } from './v86.build.ts';

const RUN_MS = 400;
const MEMORY_MIB = 16;

/**
 * Runs the BIOS of a machine that is thrown away, so that V8 has compiled v86's hot functions before the first real
 * machine of this process: its first command then takes half the CPU time.
 */
export async function warmUp(firmware: FirmwarePaths): Promise<void> {
  const emulator = await Emulator.create(
    {
      memoryMiB: MEMORY_MIB, firmware, media: {}, commandLine: '', overlayPath: '', acpi: false, balloon: false,
      macAddress: '02:00:00:00:00:00', agentPortName: 'none',
    },
    { onHalt: () => undefined, onReboot: () => undefined },
    { boot: true },
  );
  emulator.run();
  await delay(RUN_MS);
  await emulator.dispose();
}
