import { copyFile } from 'node:fs/promises';
import path from 'node:path';
import { digestOfSources } from './guest-files.ts';
import { digestOfInputs, type CurrentImage } from './image-store.ts';
import type { ImageBuild } from './recipe.ts';

/**
 * Bootable media that know nothing of Corral: a floppy and a CD-ROM with GRUB, and a small multiboot kernel (a game). Tests
 * start machines from each, as a user would from an image of their own.
 */
export async function buildTestMedia(
  { store, apt, progress, base }: ImageBuild,
  force: boolean,
): Promise<CurrentImage> {
  const sources = await digestOfSources(base, ['src/test-media.ts']);
  const current = await store.current('test-media');
  if (current?.sources === sources && !force) return current;
  const packages = await apt.resolve(['grub-rescue-pc:i386', 'grub-invaders:i386']);
  const inputs = { sources, packages };
  if (current?.digest === digestOfInputs(inputs) && !force) return current;
  await apt.fetch(packages);
  const step = progress.begin('Unpack test media', 1, 'steps');
  const scratch = await store.scratch('test-media');
  for (const item of packages) await apt.unpack(item, scratch);
  const output = await store.scratch('test-media-output');
  await copyFile(
    path.join(scratch, 'usr/lib/grub-rescue/grub-rescue-floppy.img'),
    path.join(output, 'grub-floppy.img'),
  );
  await copyFile(path.join(scratch, 'usr/lib/grub-rescue/grub-rescue-cdrom.iso'), path.join(output, 'grub-cdrom.iso'));
  await copyFile(path.join(scratch, 'boot/invaders.exec'), path.join(output, 'invaders.multiboot'));
  await store.discard(scratch);
  const media = await store.publish(
    output,
    {
      name: 'test-media',
      description: 'A floppy, a CD-ROM and a multiboot kernel, each to boot by itself',
      commandLine: '',
      memory: '64Mi',
      minimumMemory: '64Mi',
      guestAgent: false,
      acpi: false,
      kernelFlavor: 'stock',
    },
    { floppy: 'grub-floppy.img', cdrom: 'grub-cdrom.iso', multiboot: 'invaders.multiboot' },
    inputs,
  );
  step.end();
  return media;
}
