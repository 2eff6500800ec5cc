import { chmod, rename } from 'node:fs/promises';
import path from 'node:path';
import { run } from './command.ts';
import type { ImageStore } from './image-store.ts';
import type { PrivateApt } from './private-apt.ts';
import { requireTools } from './system-tools.ts';

/** The built agent, kept in the repository so that nobody needs a compiler; `guest-agent.int.spec.ts` rebuilds it. */
export const GUEST_AGENT = 'agent/agent.i386';

const SOURCES = ['main.c', 'frame.c', 'stream.c', 'relay.c', 'exec.c', 'files.c', 'fresh.c', 'machine.c'];
const FLAGS = [
  ...['-m32', '-march=i686', '-mtune=generic', '-Os', '-std=gnu11', '-Wall', '-Wextra', '-Werror'],
  ...[
    '-ffreestanding',
    '-fno-builtin',
    '-fno-pie',
    '-no-pie',
    '-fno-asynchronous-unwind-tables',
    '-fno-stack-protector',
  ],
  ...['-ffunction-sections', '-fdata-sections', '-static', '-nostdinc', '-nostdlib'],
];

/** The compiler whose output is in the repository: another version makes other, equally good bytes. */
export const GUEST_AGENT_COMPILER = '12.2.0';

/**
 * Compiles the guest agent against musl. The machine's own amd64 gcc is enough, because musl and libgcc for i386 are unpacked
 * beside it. The same sources and compiler give the same bytes wherever they lie.
 */
export async function buildGuestAgent(store: ImageStore, apt: PrivateApt, base: string, output: string): Promise<void> {
  await requireTools('Building the guest agent', { gcc: 'gcc' });
  const packages = await apt.resolve(['musl-dev:i386', 'libgcc-12-dev:i386']);
  await apt.fetch(packages);
  const scratch = await store.scratch('guest-agent');
  for (const item of packages) await apt.unpack(item, scratch);
  const libraries = path.join(scratch, 'usr/lib/i386-linux-musl');
  const libgcc = path.join(scratch, 'usr/lib/gcc/i686-linux-gnu/12/libgcc.a');
  const built = path.join(scratch, 'agent');
  await run(
    'gcc',
    [
      ...FLAGS,
      ...['-isystem', path.join(scratch, 'usr/include/i386-linux-musl')],
      ...['crt1.o', 'crti.o'].map((file) => path.join(libraries, file)),
      ...SOURCES,
      ...[
        '-Wl,--gc-sections,--build-id=none',
        '-Wl,--start-group',
        path.join(libraries, 'libc.a'),
        libgcc,
        '-Wl,--end-group',
      ],
      ...[path.join(libraries, 'crtn.o'), '-s', '-o', built],
    ],
    { cwd: path.join(base, 'agent') },
  );
  await chmod(built, 0o755);
  await rename(built, output);
  await store.discard(scratch);
}
