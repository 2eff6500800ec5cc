import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { bzImagePayload, rawBzImage } from './bzimage.ts';
import { run } from './command.ts';
import type { ImageStore } from './image-store.ts';
import type { DebianPackage, PrivateApt } from './private-apt.ts';
import type { Progress } from './progress.ts';
import { requireTools } from './system-tools.ts';

/** A kernel that images boot. */
export interface GuestKernel {
  readonly flavor: 'stock' | 'tickless';
  readonly release: string;
  /** A bzImage whose payload is not compressed. */
  readonly file: string;
  /** The folder that holds `lib/modules/<release>`; undefined when everything is built in. */
  readonly modulesTree: string | undefined;
  readonly commandLine: string;
  readonly acpi: boolean;
  readonly packages: readonly DebianPackage[];
}

/** `panic=0`: a panic stops the machine and stays on its screen, rather than rebooting unseen. */
export const COMMON_COMMAND_LINE =
  'console=tty0 console=ttyS0 tsc=reliable mitigations=off edd=off random.trust_cpu=on panic=0 loglevel=1';

/** Initialisers that cost a stock kernel seconds of emulated work and do nothing for such a machine. */
const SKIPPED_INITCALLS = [
  'init_kprobe_trace',
  'crypto_kdf108_init',
  'load_system_certificate_list',
  'isapnp_init',
  'trace_events_synth_init',
  'oom_init',
  'digsig_init',
  'init_encrypted',
  'blake2s_mod_init',
  'mcheck_init_device',
  'init_blk_tracer',
];
const STOCK_COMMAND_LINE = `${COMMON_COMMAND_LINE} acpi=off cryptomgr.notests pnpbios=off noisapnp initcall_blacklist=${SKIPPED_INITCALLS.join(',')}`;

/** Debian's own i386 kernel, by way of its metapackage, so that security updates come with the next build. */
export async function resolveStockKernel(apt: PrivateApt): Promise<DebianPackage[]> {
  const depends = await apt.field('linux-image-686:i386', 'Depends');
  const versioned = /linux-image-\S+/.exec(depends)?.[0] ?? '';
  return apt.resolve([`${versioned}:i386`]);
}

/** Unpacks Debian's kernel and takes the compression off it: seconds, and no compiler. */
export async function stockKernel(
  store: ImageStore,
  apt: PrivateApt,
  packages: readonly DebianPackage[],
  progress: Progress,
): Promise<GuestKernel> {
  const image = packages.find(({ name }) => name.startsWith('linux-image-'));
  if (!image) throw new Error('resolveStockKernel answers with the image');
  const folder = path.join(store.workFolder, `stock-kernel-${image.sha256.slice(0, 16)}`);
  const release = image.name.replace('linux-image-', '');
  const kernel: GuestKernel = {
    flavor: 'stock',
    release,
    file: path.join(folder, 'vmlinuz.raw'),
    modulesTree: path.join(folder, 'tree'),
    commandLine: STOCK_COMMAND_LINE,
    acpi: false,
    packages,
  };
  if (
    await access(kernel.file).then(
      () => true,
      () => false,
    )
  )
    return kernel;
  await requireTools('Repacking the kernel', { xz: 'xz-utils' });
  const step = progress.begin('Repack the Debian kernel', 3, 'steps');
  const scratch = `${folder}.${process.pid}`;
  await rm(scratch, { recursive: true, force: true });
  await mkdir(scratch, { recursive: true });
  await apt.unpack(image, path.join(scratch, 'tree'));
  step.report(1);
  const bzImage = await readFile(path.join(scratch, `tree/boot/vmlinuz-${release}`));
  const vmlinux = await run('xz', ['-dc'], { input: bzImagePayload(bzImage) });
  step.report(2);
  await writeFile(path.join(scratch, 'vmlinuz.raw'), rawBzImage(bzImage, vmlinux));
  await rm(folder, { recursive: true, force: true });
  await rename(scratch, folder);
  step.end();
  return kernel;
}
