import path from 'node:path';
import { parseArgs } from 'node:util';
import { Problem } from '@corral/contracts';
import { buildDebianImage, DEBIAN_DESKTOP, DEBIAN_DEV } from './debian-image.ts';
import { buildGuestAgent, GUEST_AGENT } from './guest-agent.ts';
import { ImageStore, type CurrentImage } from './image-store.ts';
import { buildLinuxMinimal } from './linux-minimal.ts';
import { PrivateApt } from './private-apt.ts';
import { barProgress, jsonProgress, lineProgress, type Progress } from './progress.ts';
import type { ImageBuild } from './recipe.ts';
import { buildTestMedia } from './test-media.ts';
import { buildTicklessKernel, ticklessKernel } from './tickless-kernel.ts';

const USAGE = `Usage: npm run images -- <name> [options]

Builds guest images of Debian packages, and only when something they are made of has changed.

Names:
  linux-minimal    Linux and busybox in memory (the default image), and the BIOS files
  debian-dev       Debian with python3, gcc, make, git, curl, nodejs and vim, on a disk
  debian-desktop   Debian with X, a window manager, a terminal and a browser, on a disk
  kernel           our own kernel without an idle tick (minutes, once); the other images are then built on it
  test-media       a floppy, a CD-ROM and a multiboot kernel that know nothing of Corral, for tests
  agent            compiles the guest agent into the repository, after its source was changed (needs gcc)

Options:
  --home <folder>    where images are kept: <folder>/images (default $CORRAL_HOME, else .corral)
  --force            build again, with the newest packages
  --json-progress    one JSON object per line on standard output, for a parent process
  --list             what has been built
  --help             this text`;

const RECIPES: Readonly<Record<string, (build: ImageBuild, force: boolean) => Promise<CurrentImage>>> = {
  'linux-minimal': buildLinuxMinimal,
  kernel: buildTicklessKernel,
  'test-media': buildTestMedia,
  'debian-dev': (build, force) => buildDebianImage(DEBIAN_DEV, build, force),
  'debian-desktop': (build, force) => buildDebianImage(DEBIAN_DESKTOP, build, force),
};

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      home: { type: 'string' },
      force: { type: 'boolean', default: false },
      'json-progress': { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const store = new ImageStore(values.home ?? process.env['CORRAL_HOME'] ?? '.corral');
  if (values.list) return list(store);
  if (values.help || positionals.length === 0) return console.log(USAGE);
  const progress = chooseProgress(values['json-progress']);
  try {
    for (const name of positionals) await build(name, store, progress, values.force);
  } finally {
    progress.close();
  }
}

function chooseProgress(json: boolean): Progress {
  const write = (line: string) => void process.stdout.write(`${line}\n`);
  if (json) return jsonProgress(write, Date.now);
  return process.stdout.isTTY ? barProgress(process.stdout) : lineProgress(write, Date.now);
}

async function build(name: string, store: ImageStore, progress: Progress, force: boolean): Promise<void> {
  const base = path.resolve(import.meta.dirname, '..');
  const apt = new PrivateApt(path.join(store.workFolder, 'apt'), progress);
  if (name === 'agent') return buildGuestAgent(store, apt, base, path.join(base, GUEST_AGENT));
  const recipe = RECIPES[name];
  if (!recipe) throw new Problem('request.malformed', `there is no image ${name}; npm run images -- --help names them`);
  const image = await recipe({ store, apt, progress, base, tickless: await ticklessKernel(store) }, force);
  const bytes = Object.values(image.artifacts).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  progress.note(
    `${name} ${image.digest.slice(0, 12)}, ${(bytes / 2 ** 20).toFixed(1)} MiB, ${image.kernelFlavor} kernel: ${image.directory}`,
  );
}

async function list(store: ImageStore): Promise<void> {
  for (const name of Object.keys(RECIPES)) {
    const image = await store.current(name);
    console.log(
      image
        ? `${name.padEnd(16)} ${image.digest.slice(0, 12)} ${image.kernelFlavor} kernel`
        : `${name.padEnd(16)} not built`,
    );
  }
}

main().catch((error: unknown) => {
  const usageError = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  console.error(error instanceof Problem || usageError ? error.message : error);
  process.exitCode = 1;
});
