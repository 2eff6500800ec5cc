import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from './command.ts';
import { cpioArchive, type CpioEntry } from './cpio.ts';
import { GUEST_AGENT } from './guest-agent.ts';
import { busyboxApplets, digestOfSources, withParents } from './guest-files.ts';
import { resolveStockKernel, stockKernel, type GuestKernel } from './guest-kernel.ts';
import { digestOfInputs, type CurrentImage } from './image-store.ts';
import { moduleEntries } from './kernel-modules.ts';
import type { DebianPackage } from './private-apt.ts';
import type { ImageBuild } from './recipe.ts';
import { requireTools } from './system-tools.ts';
import { rootNamespace } from './root-namespace.ts';

/** What makes one Debian image different from another. */
export interface DebianRecipe {
  readonly name: string;
  readonly description: string;
  /** Besides Debian's essential packages. */
  readonly packages: readonly string[];
  /** Folders below `images/debian`, copied over the packages' files in this order. */
  readonly overlays: readonly string[];
  readonly memory: string;
  readonly minimumMemory: string;
  /** Free space on the disk. */
  readonly spareMiB: number;
  /** Whether X wants the frame buffer; otherwise the screen stays in text mode, which costs less to show. */
  readonly graphical: boolean;
}

/** What both images have: the init, and what a shell needs to look around. */
const COMMON_PACKAGES = [
  'busybox-static',
  'ca-certificates',
  'iproute2',
  'kmod',
  'less',
  'mount',
  'procps',
  'vim-tiny',
];

export const DEBIAN_DEV: DebianRecipe = {
  name: 'debian-dev',
  description: 'Debian with python3, gcc, make, git, curl, nodejs and vim',
  packages: [...COMMON_PACKAGES, 'apt', 'curl', 'gcc', 'git', 'iputils-ping', 'libc6-dev', 'make', 'nodejs', 'python3'],
  overlays: ['rootfs'],
  memory: '256Mi',
  minimumMemory: '160Mi',
  spareMiB: 256,
  graphical: false,
};

export const DEBIAN_DESKTOP: DebianRecipe = {
  name: 'debian-desktop',
  description: 'Debian with X, the jwm window manager, a terminal and a browser',
  packages: [
    ...COMMON_PACKAGES,
    ...[
      'fontconfig',
      'fonts-dejavu-core',
      'jwm',
      'netsurf-gtk',
      'x11-xkb-utils',
      'x11-xserver-utils',
      'xfonts-base',
      'xkb-data',
    ],
    ...['xserver-xorg-core', 'xserver-xorg-input-evdev', 'xserver-xorg-video-fbdev', 'xterm'],
  ],
  overlays: ['rootfs', 'desktop'],
  memory: '256Mi',
  minimumMemory: '192Mi',
  spareMiB: 256,
  graphical: true,
};

const SOURCES = [
  ...[
    'debian/build-rootfs.sh',
    'debian/initramfs',
    GUEST_AGENT,
    'src/debian-image.ts',
    'src/cpio.ts',
    'src/bzimage.ts',
  ],
  ...['src/kernel-modules.ts', 'src/guest-kernel.ts', 'src/guest-files.ts'],
];
/** With which a stock kernel finds its disk. */
const INITRD_MODULES = ['virtio_pci', 'virtio_console', 'ata_piix', 'sd_mod', 'crc32c_generic', 'ext4'];
const LATE_MODULES = [
  ...[
    'virtio_net',
    'virtio_balloon',
    'ne2k-pci',
    'af_packet',
    '9p',
    '9pnet_virtio',
    'sr_mod',
    'isofs',
    'vfat',
    'nls_cp437',
    'nls_ascii',
  ],
  ...['overlay', 'loop', 'squashfs', 'psmouse', 'evdev', 'veth', 'bridge', 'tun', 'fuse'],
];
const GRAPHICAL_MODULES = ['bochs'];

/** Builds an ext4 disk of Debian packages, and a kernel that boots it. */
export async function buildDebianImage(recipe: DebianRecipe, build: ImageBuild, force: boolean): Promise<CurrentImage> {
  const { store, apt, progress, base, tickless } = build;
  const overlays = recipe.overlays.map((name) => `debian/${name}`);
  const digest = await digestOfSources(base, [...SOURCES, ...overlays]);
  const sources = [digest, tickless?.digest ?? 'stock', JSON.stringify(recipe)].join(' ');
  const current = await store.current(recipe.name);
  if (current?.sources === sources && !force) return current;
  await requireTools(`Building ${recipe.name}`, {
    mke2fs: 'e2fsprogs',
    tar: 'tar',
    chroot: 'coreutils',
    unshare: 'util-linux',
  });
  const namespace = await rootNamespace(recipe.name);

  const essentialNames = await apt.essentialNames('i386');
  const essential = await apt.resolveClosure(essentialNames);
  const all = await apt.resolveClosure([...essentialNames, ...recipe.packages]);
  const kernelPackages = tickless ? tickless.packages : await resolveStockKernel(apt);
  const inputs = { sources, packages: [...all, ...kernelPackages] };
  if (current?.digest === digestOfInputs(inputs) && !force) return current;
  const packageFolder = await apt.fetch(tickless ? all : inputs.packages);
  const kernel = tickless ?? (await stockKernel(store, apt, kernelPackages, progress));

  const work = await store.scratch(recipe.name);
  await chmod(work, 0o755);
  const output = await store.scratch(`${recipe.name}-output`);
  const agent = await readFile(path.join(base, GUEST_AGENT));
  const own = path.join(work, 'own');
  await writeOwnFiles(own, agent, kernel, recipe);
  await writePackageLists(work, essential, all);
  const counted = progress.begin(`Install ${all.length} packages`, all.length * 2, 'steps');
  let done = 0;
  const command = [
    path.join(base, 'debian/build-rootfs.sh'),
    ...[work, packageFolder, path.join(output, 'disk.img'), String(recipe.spareMiB)],
    ...overlays.map((folder) => path.join(base, folder)),
    own,
  ];
  const [program = 'sh', ...args] = [...namespace, 'sh', ...command];
  await run(program, args, {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    timeoutMs: 60 * 60_000,
    onLine: (line) => {
      if (/^(Unpacking|Setting up) /.test(line)) counted.report(++done);
    },
  });
  counted.end();
  await copyFile(kernel.file, path.join(output, 'vmlinuz'));
  if (kernel.modulesTree !== undefined) {
    const busybox = all.find(({ name }) => name === 'busybox-static');
    if (!busybox) throw new Error('every recipe names busybox-static');
    await apt.unpack(busybox, path.join(work, 'busybox'));
    await writeFile(
      path.join(output, 'initrd.img'),
      await initramfs(base, await readFile(path.join(work, 'busybox/bin/busybox')), kernel),
    );
  }
  const image = await store.publish(
    output,
    {
      name: recipe.name,
      description: recipe.description,
      commandLine: `${kernel.commandLine}${recipe.graphical ? ' video=1024x768' : ' nomodeset'} root=/dev/sda rootfstype=ext4 rw init=/sbin/init`,
      memory: recipe.memory,
      minimumMemory: recipe.minimumMemory,
      guestAgent: true,
      acpi: kernel.acpi,
      kernelFlavor: kernel.flavor,
    },
    { kernel: 'vmlinuz', disk: 'disk.img', ...(kernel.modulesTree === undefined ? {} : { initrd: 'initrd.img' }) },
    inputs,
  );
  await store.discard(work);
  return image;
}

async function writePackageLists(
  work: string,
  essential: readonly DebianPackage[],
  all: readonly DebianPackage[],
): Promise<void> {
  const first = new Set(essential.map(({ fileName }) => fileName));
  const lines = (packages: readonly DebianPackage[]) => packages.map(({ fileName }) => `${fileName}\n`).join('');
  await writeFile(path.join(work, 'essential'), lines(essential));
  await writeFile(path.join(work, 'others'), lines(all.filter(({ fileName }) => !first.has(fileName))));
}

/** What the disk gets from us besides the overlays: the agent and, for a kernel that has them, modules. */
async function writeOwnFiles(folder: string, agent: Buffer, kernel: GuestKernel, recipe: DebianRecipe): Promise<void> {
  const modules =
    kernel.modulesTree === undefined
      ? []
      : await moduleEntries(kernel.modulesTree, kernel.release, {
          early: INITRD_MODULES,
          late: [...LATE_MODULES, ...(recipe.graphical ? GRAPHICAL_MODULES : [])],
        });
  const entries: CpioEntry[] = [
    { type: 'file', path: 'usr/sbin/corral-guest-agent', mode: 0o755, content: agent },
    // /lib is a link on a Debian disk.
    ...modules.map((entry) => (entry.path.startsWith('lib/') ? { ...entry, path: `usr/${entry.path}` } : entry)),
  ];
  for (const entry of entries) {
    if (entry.type !== 'file') continue;
    const file = path.join(folder, entry.path);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, entry.content, { mode: entry.mode });
  }
}

async function initramfs(base: string, busybox: Buffer, kernel: GuestKernel): Promise<Buffer> {
  const modules = await moduleEntries(kernel.modulesTree ?? '', kernel.release, { early: INITRD_MODULES, late: [] });
  return cpioArchive(
    withParents([
      ...['bin', 'dev', 'newroot', 'proc', 'sys'].map((name) => ({
        type: 'directory' as const,
        path: name,
        mode: 0o755,
      })),
      { type: 'file', path: 'bin/busybox', mode: 0o755, content: busybox },
      ...busyboxApplets(busybox)
        .filter((name) => name !== 'busybox')
        .map((name) => ({ type: 'symlink' as const, path: `bin/${name}`, target: 'busybox' })),
      { type: 'file', path: 'init', mode: 0o755, content: await readFile(path.join(base, 'debian/initramfs/init')) },
      ...modules,
    ]),
  );
}
