import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Problem } from '@corral/contracts';
import { run } from './command.ts';
import type { Progress } from './progress.ts';
import { findOnPath } from './system-tools.ts';

/** One Debian package file, named by what apt's signed index says of it. */
export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  readonly fileName: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

const LISTS_FRESH_FOR_MS = 24 * 3600_000;
const ATTEMPTS = 4;
/** `'uri' file size algorithm:hex`. Source: apt-get(8), --print-uris. */
const URI_LINE = /^'[^']*' (\S+) (\d+) (\w+):([0-9a-f]+)$/;

function parseLine(line: string): (Omit<DebianPackage, 'sha256'> & { algorithm: string; digest: string }) | undefined {
  const [, fileName, size, algorithm, digest] = URI_LINE.exec(line) ?? [];
  if (fileName === undefined || size === undefined || algorithm === undefined || digest === undefined) return undefined;
  const [name = '', version = '', architecture = ''] = decodeURIComponent(fileName)
    .replace(/\.deb$/, '')
    .split('_');
  return { name, version, architecture, fileName, sizeBytes: Number(size), algorithm, digest };
}

/** The packages in what `--print-uris` prints; without a SHA-256 a line names no package that could be trusted. */
export function parsePrintedUris(text: string): DebianPackage[] {
  return text.split('\n').flatMap((line) => {
    const parsed = parseLine(line);
    if (parsed?.algorithm !== 'SHA256') return [];
    const { digest, name, version, architecture, fileName, sizeBytes } = parsed;
    return [{ name, version, architecture, fileName, sizeBytes, sha256: digest }];
  });
}

export async function sha256OfFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/**
 * The machine's own apt, sources and keys, with lists and cache in a folder of ours: needs no root, changes nothing of the
 * machine, and reads i386 packages without `dpkg --add-architecture`.
 */
export class PrivateApt {
  readonly #folder: string;
  readonly #progress: Progress;
  #ready: Promise<void> | undefined;

  constructor(folder: string, progress: Progress) {
    this.#folder = path.resolve(folder);
    this.#progress = progress;
  }

  /** The packages themselves, without what they depend on. A name may carry an architecture: `musl-dev:i386`. */
  async resolve(names: readonly string[]): Promise<DebianPackage[]> {
    await this.#open();
    const text = await run('apt-get', [...(await this.#options()), 'download', '--print-uris', ...names]);
    return this.#complete(names, parsePrintedUris(text.toString()));
  }

  /** The packages and everything they need on an empty i386 system, recommendations aside. */
  async resolveClosure(names: readonly string[]): Promise<DebianPackage[]> {
    await this.#open();
    const options = await this.#options('i386');
    const command = ['install', '--print-uris', '--yes', '--no-install-recommends', ...names];
    const chosen = (await run('apt-get', [...options, ...command])).toString().split('\n');
    // `install` prints MD5 sums; `download` prints the SHA-256 of the same files.
    const exact = chosen.flatMap((line) => {
      const parsed = parseLine(line);
      return parsed ? [`${parsed.name}=${parsed.version}`] : [];
    });
    const text = await run('apt-get', [...options, 'download', '--print-uris', ...exact]);
    return this.#complete(names, parsePrintedUris(text.toString()));
  }

  /** One field of a package's newest version. */
  async field(name: string, field: string): Promise<string> {
    await this.#open();
    const text = await run('apt-cache', [...(await this.#options()), 'show', '--no-all-versions', name]);
    const line = text
      .toString()
      .split('\n')
      .find((candidate) => candidate.startsWith(`${field}: `));
    if (line === undefined) throw new Problem('dependency.unavailable', `the package ${name} has no field ${field}`);
    return line.slice(field.length + 2);
  }

  /** Names of the packages every Debian system of that architecture has. */
  async essentialNames(architecture: string): Promise<string[]> {
    await this.#open();
    const text = await run('apt-cache', [...(await this.#options(architecture)), 'dumpavail']);
    const names = new Set<string>();
    for (const stanza of text.toString().split('\n\n')) {
      const value = (field: string) => new RegExp(`^${field}: (.*)$`, 'm').exec(stanza)?.[1];
      if (!stanza.includes('\nEssential: yes') || ![architecture, 'all'].includes(value('Architecture') ?? ''))
        continue;
      names.add(value('Package') ?? '');
    }
    return [...names].filter(Boolean).sort();
  }

  /** Downloads what is not yet here, and answers with the folder that holds every file by its name. */
  async fetch(packages: readonly DebianPackage[]): Promise<string> {
    const folder = path.join(this.#folder, 'packages');
    await mkdir(folder, { recursive: true });
    const missing: DebianPackage[] = [];
    for (const item of packages) {
      const file = path.join(folder, item.fileName);
      const there = await stat(file).then(
        ({ size }) => size === item.sizeBytes,
        () => false,
      );
      if (!there || (await sha256OfFile(file)) !== item.sha256) missing.push(item);
    }
    if (missing.length > 0) await this.#download(folder, missing);
    return folder;
  }

  /** Unpacks a fetched package's files, without running any of its scripts. */
  async unpack(item: DebianPackage, into: string): Promise<void> {
    await mkdir(into, { recursive: true });
    await run('dpkg-deb', ['-x', path.join(this.#folder, 'packages', item.fileName), into]);
  }

  async #download(folder: string, missing: readonly DebianPackage[]): Promise<void> {
    const total = missing.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const step = this.#progress.begin(
      missing.length === 1 ? `Download ${missing[0]?.name ?? ''}` : `Download ${missing.length} packages`,
      total,
      'bytes',
    );
    const incoming = path.join(folder, `incoming-${process.pid}`);
    await rm(incoming, { recursive: true, force: true });
    await mkdir(incoming);
    const watch = setInterval(() => void folderSize(incoming).then((bytes) => step.report(bytes)), 250);
    try {
      const wanted = missing.map(
        ({ name, architecture, version }) => `${name}${architecture === 'all' ? '' : `:${architecture}`}=${version}`,
      );
      await retry(async () =>
        run('apt-get', [...(await this.#options()), 'download', ...wanted], { cwd: incoming, timeoutMs: 60 * 60_000 }),
      );
      for (const item of missing) {
        const file = path.join(incoming, item.fileName);
        if ((await sha256OfFile(file)) !== item.sha256)
          throw new Problem(
            'dependency.unavailable',
            `the downloaded ${item.fileName} is damaged; run the command again`,
          );
        await rename(file, path.join(folder, item.fileName));
      }
    } finally {
      clearInterval(watch);
      await rm(incoming, { recursive: true, force: true });
    }
    step.end();
  }

  #complete(names: readonly string[], packages: DebianPackage[]): DebianPackage[] {
    for (const name of names) {
      const bare = name.replace(/[:=].*/, '');
      if (!packages.some((item) => item.name === bare)) {
        throw new Problem(
          'dependency.unavailable',
          `apt has no package ${name}; the images are built of Debian packages, so apt's sources must name a Debian release`,
        );
      }
    }
    return packages.sort((a, b) => (a.fileName < b.fileName ? -1 : 1));
  }

  #open(): Promise<void> {
    this.#ready ??= this.#update();
    return this.#ready;
  }

  async #update(): Promise<void> {
    for (const tool of ['apt-get', 'dpkg-deb']) {
      if ((await findOnPath(tool)) === undefined) {
        throw new Problem(
          'dependency.unavailable',
          `guest images are built of Debian packages, and this machine has no ${tool}. Build them in a container instead: docker build -f deploy/images.Dockerfile .`,
        );
      }
    }
    const lists = path.join(this.#folder, 'state/lists');
    await mkdir(path.join(lists, 'partial'), { recursive: true });
    await mkdir(path.join(this.#folder, 'cache/archives/partial'), { recursive: true });
    await writeFile(path.join(this.#folder, 'state/status'), '');
    const stamp = path.join(this.#folder, 'state/updated');
    const ageMs = await stat(stamp).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => Infinity,
    );
    if (ageMs < LISTS_FRESH_FOR_MS) return;
    const step = this.#progress.begin('Read the package lists', 1, 'steps');
    // One index out of many may be in mid-sync on a mirror; what matters is whether there are lists to resolve from.
    const haveLists = async () => (await readdir(lists)).some((name) => name.includes('_binary-i386_Packages'));
    try {
      await retry(
        async () =>
          run('apt-get', [...(await this.#options()), 'update', '--error-on=any'], { timeoutMs: 10 * 60_000 }),
        async () => !(await haveLists()),
      );
    } catch (cause) {
      if (!(await haveLists())) {
        const message = cause instanceof Error ? cause.message : '';
        throw new Problem('dependency.unavailable', `apt could not read Debian's package lists: ${message}`, { cause });
      }
      this.#progress.note('Some package lists could not be read; going on with the others.');
    }
    await writeFile(stamp, '');
    step.end();
  }

  async #options(architecture?: string): Promise<string[]> {
    const native = architecture ?? (await this.#hostArchitecture());
    const settings = {
      'Dir::State': path.join(this.#folder, 'state'),
      'Dir::State::status': path.join(this.#folder, 'state/status'),
      'Dir::Cache': path.join(this.#folder, 'cache'),
      'APT::Architecture': native,
      // As root apt would drop to a user who may not write into this folder.
      'APT::Sandbox::User': 'root',
      'Acquire::Languages': 'none',
      'Acquire::Retries': '3',
      Binary: 'corral-images',
    };
    const architectures = [...new Set([native, 'i386'])].flatMap((name) => ['-o', `APT::Architectures::=${name}`]);
    return ['-q', ...Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]), ...architectures];
  }

  #architecture: string | undefined;
  async #hostArchitecture(): Promise<string> {
    this.#architecture ??= (await run('dpkg', ['--print-architecture'])).toString().trim();
    return this.#architecture;
  }
}

async function folderSize(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder).catch(() => []))
    bytes += await stat(path.join(folder, name)).then(
      ({ size }) => size,
      () => 0,
    );
  return bytes;
}

/** Networks flake: a few more tries, each after a longer pause, as long as another try is worth while. */
async function retry<T>(
  attempt: () => Promise<T>,
  worthWhile: () => Promise<boolean> = () => Promise.resolve(true),
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (tries === ATTEMPTS || (tries > 1 && !(await worthWhile()))) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** tries));
    }
  }
}
