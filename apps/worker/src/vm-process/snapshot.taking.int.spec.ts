import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HostMemory, NO_LINEAGE } from '@corral/memory';
import { guestImages } from '@corral/testing';
import { Emulator } from '@corral/v86-host';
import { MachineMemory } from './machine-memory.ts';
import { SerialHub } from './serial.hub.ts';
import { takeSnapshot } from './snapshot.taking.ts';

it('lets the guest run on when its state could not be copied, unless it was paused', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'corral-taking-'));
  const disk = join(folder, 'disk.img');
  await writeFile(disk, '');
  await truncate(disk, 1024 * 1024);
  const { firmwareDirectory } = await guestImages();
  const emulator = await Emulator.create(
    {
      memoryMiB: 16, media: { disk }, commandLine: '', overlayPath: join(folder, 'overlay'), acpi: false, balloon: false,
      firmware: { biosPath: join(firmwareDirectory, 'bios.bin'), vgaBiosPath: join(firmwareDirectory, 'vgabios.bin') },
      macAddress: '02:00:00:00:00:01', agentPortName: 'none',
    },
    { onHalt: () => undefined, onReboot: () => undefined },
    { boot: true },
  );
  const serial = new SerialHub((bytes) => emulator.serial.write(bytes));
  try {
    const memory = new MachineMemory(emulator.memory, HostMemory.probe());
    memory.follow();
    emulator.run();
    const frozen = emulator.disk?.freeze('Everything');
    await expect(takeSnapshot({ emulator, memory, serial, mayRun: () => true }, NO_LINEAGE)).rejects.toThrow('frozen');
    expect(emulator.running).toBe(true);
    await expect(takeSnapshot({ emulator, memory, serial, mayRun: () => false }, NO_LINEAGE)).rejects.toThrow('frozen');
    expect(emulator.running).toBe(false);
    frozen?.giveUp();
  } finally {
    await emulator.dispose();
    await rm(folder, { recursive: true });
  }
});
