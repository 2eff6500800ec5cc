import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { Problem } from '@corral/contracts';
import { rawBzImage } from './bzimage.ts';
import { run } from './command.ts';
import { digestOfSources } from './guest-files.ts';
import { COMMON_COMMAND_LINE, type GuestKernel } from './guest-kernel.ts';
import { digestOfInputs, type CurrentImage, type ImageStore } from './image-store.ts';
import type { DebianPackage, PrivateApt } from './private-apt.ts';
import type { ImageBuild } from './recipe.ts';
import { findOnPath, requireTools } from './system-tools.ts';

const FRAGMENT = 'kernel/tickless.fragment';
const SOURCES = [FRAGMENT, 'src/tickless-kernel.ts', 'src/bzimage.ts'];
/** Tools of the build that few machines have; fetched beside the source when they are missing. */
const FETCHED_TOOLS = { flex: 'flex', bison: 'bison', m4: 'm4' };
/** Lines such as `  CC      kernel/fork.o` that a whole build prints: what the progress bar counts to. */
const EXPECTED_MAKE_LINES = 2250;
/** Our own kernel, when it has been built in this home: images are then built on it. */
export async function ticklessKernel(
  store: ImageStore,
): Promise<(GuestKernel & { readonly digest: string }) | undefined> {
  const current = await store.current('kernel');
  const file = current?.artifacts.kernel?.file;
  if (!current || file === undefined) return undefined;
  return {
    flavor: 'tickless',
    release: 'corral',
    file: path.join(current.directory, file),
    modulesTree: undefined,
    commandLine: COMMON_COMMAND_LINE,
    acpi: true,
    packages: [],
    digest: current.digest,
  };
}

/** Compiles Debian's kernel source with our configuration: no tick while idle, everything built in. Minutes, once. */
export async function buildTicklessKernel(
  { store, apt, progress, base }: ImageBuild,
  force: boolean,
): Promise<CurrentImage> {
  const sources = await digestOfSources(base, SOURCES);
  const current = await store.current('kernel');
  if (current?.sources === sources && !force) return current;
  await requireTools('Compiling a kernel', { gcc: 'gcc', make: 'make', bc: 'bc', tar: 'tar', xz: 'xz-utils' });

  const [source] = await apt.resolve(['linux-source-6.1']);
  if (!source) throw new Problem('dependency.unavailable', 'apt has no package linux-source-6.1');
  const inputs = { sources, packages: [source] };
  if (current?.digest === digestOfInputs(inputs) && !force) return current;
  const scratch = await store.scratch('kernel');
  const env = await buildEnvironment(apt, path.join(scratch, 'tools'));
  await apt.fetch([source]);

  const unpacking = progress.begin('Unpack the kernel source', 2, 'steps');
  await apt.unpack(source, path.join(scratch, 'package'));
  unpacking.report(1);
  const tree = path.join(scratch, 'tree');
  await mkdir(tree);
  await run('tar', [
    '-xJf',
    path.join(scratch, 'package/usr/src/linux-source-6.1.tar.xz'),
    '-C',
    tree,
    '--strip-components=1',
  ]);
  await rm(path.join(scratch, 'package'), { recursive: true });
  unpacking.end();

  const make = (targets: string[], onLine: (line: string) => void = () => undefined) =>
    run('make', ['ARCH=i386', `-j${availableParallelism()}`, ...targets], {
      cwd: tree,
      env,
      onLine,
      timeoutMs: 60 * 60_000,
    });
  const fragment = await readFile(path.join(base, FRAGMENT), 'utf8');
  await make(['tinyconfig']);
  await run('sh', ['scripts/kconfig/merge_config.sh', '-m', '.config', path.join(base, FRAGMENT)], { cwd: tree, env });
  await make(['olddefconfig']);
  requireSettings(fragment, await readFile(path.join(tree, '.config'), 'utf8'));

  const compiling = progress.begin('Compile the kernel (some minutes)', EXPECTED_MAKE_LINES, 'files');
  let lines = 0;
  await make(['bzImage'], () => compiling.report(++lines));
  compiling.end();

  const output = await store.scratch('kernel-output');
  const bzImage = await readFile(path.join(tree, 'arch/x86/boot/bzImage'));
  await writeFile(path.join(output, 'vmlinuz'), rawBzImage(bzImage, await readFile(path.join(tree, 'vmlinux'))));
  await copyFile(path.join(tree, '.config'), path.join(output, 'config'));
  const image = await store.publish(
    output,
    {
      name: 'kernel',
      description: 'Linux without a tick while idle, for the other images',
      commandLine: COMMON_COMMAND_LINE,
      memory: '128Mi',
      minimumMemory: '96Mi',
      guestAgent: false,
      acpi: true,
      kernelFlavor: 'tickless',
    },
    { kernel: 'vmlinuz' },
    inputs,
  );
  await store.discard(scratch);
  return image;
}

/** The environment make runs in: equal on every machine, with flex and bison from packages of ours when there are none. */
async function buildEnvironment(apt: PrivateApt, folder: string): Promise<NodeJS.ProcessEnv> {
  const names: string[] = [];
  for (const [tool, name] of Object.entries(FETCHED_TOOLS))
    if ((await findOnPath(tool)) === undefined) names.push(name);
  const env: NodeJS.ProcessEnv = {
    PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
    HOME: folder,
    KBUILD_BUILD_TIMESTAMP: '2024-01-01',
    KBUILD_BUILD_USER: 'corral',
    KBUILD_BUILD_HOST: 'corral',
  };
  if (names.length === 0) return env;
  const packages: DebianPackage[] = await apt.resolve(names);
  await apt.fetch(packages);
  for (const item of packages) await apt.unpack(item, folder);
  const at = (relative: string) => path.join(folder, relative);
  const m4 = names.includes('m4') ? at('usr/bin/m4') : '/usr/bin/m4';
  const bison = names.includes('bison') ? { BISON_PKGDATADIR: at('usr/share/bison') } : {};
  return { ...env, ...bison, M4: m4, PATH: `${at('usr/bin')}:${env['PATH'] ?? ''}` };
}

/** Kconfig drops without a word what it does not know or cannot satisfy; a kernel without its clock or disk would be the result. */
export function requireSettings(fragment: string, config: string): void {
  const settings = new Set(config.split('\n'));
  const lost = fragment.split('\n').filter((line) => /^CONFIG_\w+=/.test(line) && !settings.has(line));
  const enabled = fragment.split('\n').flatMap((line) => {
    const name = /^# (CONFIG_\w+) is not set$/.exec(line)?.[1];
    return name !== undefined && [...settings].some((setting) => setting.startsWith(`${name}=`)) ? [line] : [];
  });
  if (lost.length + enabled.length > 0)
    throw new Problem(
      'dependency.unavailable',
      `the kernel's configuration does not keep: ${[...lost, ...enabled].join(', ')}`,
    );
}
