import { copyFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cpioArchive, type CpioEntry } from './cpio.ts';
import { GUEST_AGENT } from './guest-agent.ts';
import { busyboxApplets, digestOfSources, readTree, withParents } from './guest-files.ts';
import { resolveStockKernel, stockKernel, type GuestKernel } from './guest-kernel.ts';
import { digestOfInputs, type CurrentImage } from './image-store.ts';
import { moduleEntries } from './kernel-modules.ts';
import type { ImageBuild } from './recipe.ts';

/** What this image is made of besides packages and kernel. */
const SOURCES = [
  'linux-minimal',
  GUEST_AGENT,
  'src/linux-minimal.ts',
  'src/cpio.ts',
  'src/bzimage.ts',
  'src/kernel-modules.ts',
  'src/guest-kernel.ts',
  'src/guest-files.ts',
];

/** Loaded before the guest agent starts: its channel. */
const EARLY_MODULES = ['virtio_pci', 'virtio_console'];
/** Loaded beside it. */
const LATE_MODULES = [
  'virtio_net',
  'virtio_balloon',
  'virtio_blk',
  'ne2k-pci',
  'af_packet',
  '9p',
  '9pnet_virtio',
  'ata_piix',
  'sd_mod',
  'sr_mod',
  'crc32c_generic',
  'ext4',
  'isofs',
  'vfat',
  'nls_cp437',
  'nls_ascii',
  'overlay',
  'loop',
  'squashfs',
  'psmouse',
  'evdev',
];

/** A kernel and busybox in memory: boots in seconds, needs no disk. */
export async function buildLinuxMinimal(
  { store, apt, progress, base, tickless }: ImageBuild,
  force: boolean,
): Promise<CurrentImage> {
  const sources = `${await digestOfSources(base, SOURCES)} ${tickless?.digest ?? 'stock'}`;
  const current = await store.current('linux-minimal');
  if (current?.sources === sources && !force) return current;

  const userland = await apt.resolve(['busybox-static:i386', 'seabios']);
  const kernelPackages = tickless ? tickless.packages : await resolveStockKernel(apt);
  const inputs = { sources, packages: [...userland, ...kernelPackages] };
  if (current?.digest === digestOfInputs(inputs) && !force) return current;
  await apt.fetch(tickless ? userland : inputs.packages);
  const kernel = tickless ?? (await stockKernel(store, apt, kernelPackages, progress));

  const step = progress.begin('Build linux-minimal', 3, 'steps');
  const scratch = await store.scratch('linux-minimal');
  const unpacked = path.join(scratch, 'packages');
  for (const item of userland) await apt.unpack(item, unpacked);
  await store.publishFirmware({
    'bios.bin': path.join(unpacked, 'usr/share/seabios/bios.bin'),
    'vgabios.bin': path.join(unpacked, 'usr/share/seabios/vgabios-stdvga.bin'),
  });
  step.report(1);
  const output = await store.scratch('linux-minimal-output');
  await copyFile(kernel.file, path.join(output, 'vmlinuz'));
  const busybox = await readFile(path.join(unpacked, 'bin/busybox'));
  const agent = await readFile(path.join(base, GUEST_AGENT));
  const entries = await initramfs(busybox, agent, kernel, await readTree(path.join(base, 'linux-minimal/rootfs')));
  await writeFile(path.join(output, 'initrd.img'), cpioArchive(entries));
  step.report(2);
  const image = await store.publish(
    output,
    {
      name: 'linux-minimal',
      description: 'Linux and busybox in memory, with a root shell',
      // Text mode: a picture of it is cheaper to make, and no cursor blinks by timer.
      commandLine: `${kernel.commandLine} nomodeset`,
      memory: '128Mi',
      // v86 puts the initrd at 64 MiB, so the machine needs that and the initrd's own size.
      minimumMemory: '96Mi',
      guestAgent: true,
      acpi: kernel.acpi,
      kernelFlavor: kernel.flavor,
    },
    { kernel: 'vmlinuz', initrd: 'initrd.img' },
    inputs,
  );
  await store.discard(scratch);
  step.end();
  return image;
}

async function initramfs(
  busybox: Buffer,
  agent: Buffer,
  kernel: GuestKernel,
  overlay: readonly CpioEntry[],
): Promise<CpioEntry[]> {
  const directories = [
    'bin',
    'dev',
    'etc',
    'lib',
    'mnt',
    'proc',
    'root',
    'run',
    'sys',
    'tmp',
    'usr',
    'usr/local',
    'usr/local/bin',
    'usr/sbin',
    'usr/share',
    'var',
    'var/log',
  ];
  const applets = busyboxApplets(busybox).filter((name) => name !== 'busybox');
  const entries: CpioEntry[] = [
    ...directories.map((name) => ({ type: 'directory' as const, path: name, mode: 0o755 })),
    { type: 'symlink', path: 'sbin', target: 'bin' },
    { type: 'symlink', path: 'usr/bin', target: '../bin' },
    { type: 'symlink', path: 'init', target: 'bin/busybox' },
    { type: 'file', path: 'bin/busybox', mode: 0o755, content: busybox },
    ...applets.map((name) => ({ type: 'symlink' as const, path: `bin/${name}`, target: 'busybox' })),
    ...overlay,
    { type: 'file', path: 'usr/sbin/corral-guest-agent', mode: 0o755, content: agent },
    ...(kernel.modulesTree === undefined
      ? []
      : await moduleEntries(kernel.modulesTree, kernel.release, { early: EARLY_MODULES, late: LATE_MODULES })),
  ];
  return withParents(entries);
}
