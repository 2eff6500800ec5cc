import { join } from 'node:path';
import type { MachineConfig } from '@corral/contracts';
import { guestImages } from '@corral/testing';
import { ForkedVm } from './forked-vm.testing.ts';

/** What a VM process is told of its machine, without where it keeps it. */
export type GuestConfig = Omit<MachineConfig, 'directory' | 'socketPath'>;

const SOURCE = { uid: 'source', namespace: 'default', incarnation: 1, hostname: 'source', macAddress: '02:00:00:00:00:01' };

/** For tests: a machine of the default image, as the node agent describes one. */
export async function linuxMachine(changes: Partial<GuestConfig> = {}): Promise<GuestConfig> {
  const images = await guestImages();
  const { artifacts, directory, commandLine, digest, guestAgent, acpi } = await images.image('linux-minimal');
  return {
    ...SOURCE,
    memoryMiB: 128, commandLine, guestAgent, acpi, imageDigest: digest,
    artifacts: Object.fromEntries(Object.entries(artifacts).map(([role, { file }]) => [role, join(directory, file)])),
    firmware: firmwareIn(images.firmwareDirectory),
    ...changes,
  };
}

/** One that has this disk and nothing else: up at once. */
export async function diskMachine(disk: string, changes: Partial<GuestConfig> = {}): Promise<GuestConfig> {
  const { firmwareDirectory } = await guestImages();
  return { ...SOURCE, memoryMiB: 16, commandLine: '', guestAgent: false, acpi: false, imageDigest: 'none', artifacts: { disk }, firmware: firmwareIn(firmwareDirectory), ...changes };
}

const firmwareIn = (directory: string): MachineConfig['firmware'] => ({ biosPath: join(directory, 'bios.bin'), vgaBiosPath: join(directory, 'vgabios.bin') });

/** Up, as far as its agent. */
export async function booted(config: GuestConfig): Promise<ForkedVm> {
  const vm = await ForkedVm.fork(config);
  await vm.start({ type: 'Boot' });
  await vm.until('AgentAnswered');
  return vm;
}
