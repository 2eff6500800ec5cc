/** One process in which the same guest is restored again and again: by mapping its memory, and by upstream's restore_state. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { GuestRam, HostMemory, PAGE_BYTES, SealedMemory } from '@corral/memory';
import type { BuiltGuestImage } from '@corral/testing';
import { Emulator, type EmulatorHardware } from '@corral/v86-host';
import type { StockSample } from './stock.ts';

interface Task {
  readonly image: BuiltGuestImage;
  readonly firmwareDirectory: string;
  readonly memoryMiB: number;
  readonly count: number;
}

const { image, firmwareDirectory, memoryMiB, count } = JSON.parse(process.argv[2] ?? '') as Task;
const hardware: EmulatorHardware = {
  memoryMiB,
  firmware: { biosPath: path.join(firmwareDirectory, 'bios.bin'), vgaBiosPath: path.join(firmwareDirectory, 'vgabios.bin') },
  media: Object.fromEntries(Object.entries(image.artifacts).map(([role, { file }]) => [role, path.join(image.directory, file)])),
  acpi: image.acpi,
  balloon: false,
  agentPortName: 'corral.agent.0',
};
const IDENTITY = { overlayPath: '', macAddress: '02:00:00:00:00:07' };
const EVENTS = { onHalt: () => undefined, onReboot: () => undefined };
/** To a shell's prompt, and a little longer. */
const BOOT_DEADLINE_MS = 180_000;
const SETTLE_MS = 3_000;
const ZERO_PAGE = Buffer.alloc(PAGE_BYTES);

interface Saved {
  readonly base: SealedMemory;
  readonly devices: Uint8Array<ArrayBuffer>;
  readonly whole: ArrayBuffer;
}

async function bootAndSave(): Promise<Saved> {
  const emulator = await Emulator.create({ ...hardware, ...IDENTITY, commandLine: image.commandLine }, EVENTS, { boot: true });
  const prompt = new Promise<void>((resolve) => {
    let said = '';
    emulator.serial.onBytes = (bytes) => {
      said = (said + Buffer.from(bytes).toString('latin1')).slice(-64);
      if (said.includes('# ')) resolve();
    };
  });
  emulator.run();
  await Promise.race([prompt, delay(BOOT_DEADLINE_MS, undefined, { ref: false }).then(() => Promise.reject(new Error('the guest does not boot')))]);
  await delay(SETTLE_MS);
  await emulator.pause();
  const base = SealedMemory.create('corral-bench', memoryMiB * 2 ** 20);
  const ram = ramOf(emulator).slice();
  for (let at = 0; at < ram.length; at += PAGE_BYTES) {
    const page = ram.subarray(at, at + PAGE_BYTES);
    if (ZERO_PAGE.compare(page) !== 0) base.write(page, at);
  }
  base.seal();
  const saved = { base, devices: new Uint8Array(emulator.saveDevices()), whole: emulator.saveWhole() };
  await emulator.dispose();
  return saved;
}

/** A view of the machine's RAM; used at once, for the memory may grow. */
function ramOf({ memory }: Emulator): Uint8Array {
  const [ram] = memory.regions();
  if (!ram) throw new Error('a machine without RAM');
  return ram;
}

/** Private bytes in the mappings of one machine's RAM. Source: proc_pid_smaps(5). */
function privateMiB(address: number): number {
  let [inside, kib] = [false, 0];
  for (const line of readFileSync('/proc/self/smaps', 'utf8').split('\n')) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line);
    if (range) inside = Number.parseInt(range[1] ?? '', 16) < address + memoryMiB * 2 ** 20 && Number.parseInt(range[2] ?? '', 16) > address;
    else if (inside) kib += Number(/^Private_Dirty:\s+(\d+) kB/.exec(line)?.[1] ?? 0);
  }
  return kib / 1024;
}

async function restored(host: ReturnType<typeof HostMemory.probe>, restore: (emulator: Emulator) => GuestRam | undefined): Promise<{ readonly ms: number; readonly mib: number; readonly sample: Buffer }> {
  const emulator = await Emulator.build(hardware);
  emulator.claim(IDENTITY, EVENTS);
  const startMs = performance.now();
  const ram = restore(emulator);
  const ms = performance.now() - startMs;
  const mib = privateMiB(host.memory?.libc.addressOf(ramOf(emulator)) ?? 0);
  const sample = Buffer.from(ramOf(emulator).slice(0, 128 * 2 ** 20));
  ram?.dispose();
  await emulator.dispose();
  return { ms, mib, sample };
}

const host = HostMemory.probe();
if (!host.memory) throw new Error(`memory cannot be mapped here: ${host.capability.reason}`);
const saved = await bootAndSave();
const samples: StockSample[] = [];
for (let run = -1; run < count; run += 1) {
  const ours = await restored(host, (emulator) => {
    const ram = new GuestRam(() => emulator.memory.regions(), host);
    ram.mapBase(saved.base.fd, (memoryMiB * 2 ** 20) / PAGE_BYTES);
    emulator.restoreDevices(saved.devices);
    return ram;
  });
  globalThis.gc?.();
  const stock = await restored(host, (emulator) => {
    emulator.restoreWhole(saved.whole);
    return undefined;
  });
  globalThis.gc?.();
  if (!ours.sample.equals(stock.sample)) throw new Error('the two restored different memory');
  // The first of each kind runs code that is not compiled yet.
  if (run >= 0) samples.push({ oursMs: ours.ms, stockMs: stock.ms, oursMiB: Math.max(ours.mib, 1 / 256), stockMiB: stock.mib });
}
process.send?.(samples, () => process.exit(0));
