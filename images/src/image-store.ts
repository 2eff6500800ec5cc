import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ARTIFACT_ROLES, ImageDescription } from '@corral/contracts';
import { z } from 'zod';
import { sha256OfFile, type DebianPackage } from './private-apt.ts';

const CurrentImage = ImageDescription.extend({
  directory: z.string(),
  /** Digest of everything but the packages: same sources and no wish for newer packages means nothing to do. */
  sources: z.string(),
});
export type CurrentImage = z.output<typeof CurrentImage>;

/** What a digest stands for. */
export interface BuildInputs {
  readonly sources: string;
  readonly packages: readonly DebianPackage[];
}

export function digestOfInputs({ sources, packages }: BuildInputs): string {
  const lines = packages
    .map(({ name, version, architecture, sha256 }) => `${name} ${version} ${architecture} ${sha256}`)
    .sort();
  return createHash('sha256')
    .update(JSON.stringify([sources, lines]))
    .digest('hex');
}

/** Built images below `<home>/images`, each in a folder named by the digest of what it was built of. */
export class ImageStore {
  readonly root: string;

  constructor(home: string) {
    this.root = path.resolve(home, 'images');
  }

  /** A folder for downloads and half-made things, kept between builds. */
  get workFolder(): string {
    return path.join(this.root, '.work');
  }

  /** The image last published, unless its files are gone. */
  async current(name: string): Promise<CurrentImage | undefined> {
    const text = await readFile(path.join(this.root, name, 'current.json'), 'utf8').catch(() => undefined);
    if (text === undefined) return undefined;
    const parsed = CurrentImage.safeParse(JSON.parse(text));
    if (!parsed.success) return undefined;
    for (const artifact of Object.values(parsed.data.artifacts)) {
      const size = await stat(path.join(this.root, name, parsed.data.digest, artifact.file)).then(
        (found) => found.size,
        () => -1,
      );
      if (size !== artifact.sizeBytes) return undefined;
    }
    return { ...parsed.data, directory: path.join(this.root, name, parsed.data.digest) };
  }

  /** Moves a finished folder to its place and makes it current; a reader sees the old image or the new, never half of one. */
  async publish(
    folder: string,
    description: Omit<ImageDescription, 'digest' | 'artifacts'>,
    files: Readonly<Partial<Record<(typeof ARTIFACT_ROLES)[number], string>>>,
    inputs: BuildInputs,
  ): Promise<CurrentImage> {
    const digest = digestOfInputs(inputs);
    const artifacts: ImageDescription['artifacts'] = {};
    for (const role of ARTIFACT_ROLES) {
      const file = files[role];
      if (file === undefined) continue;
      const absolute = path.join(folder, file);
      artifacts[role] = { file, sha256: await sha256OfFile(absolute), sizeBytes: (await stat(absolute)).size };
    }
    const image: ImageDescription = { ...description, digest, artifacts };
    await writeFile(path.join(folder, 'image.json'), `${JSON.stringify(image, null, 2)}\n`);
    await writeFile(path.join(folder, 'inputs.json'), `${JSON.stringify(inputs, null, 2)}\n`);
    const directory = path.join(this.root, description.name, digest);
    await mkdir(path.dirname(directory), { recursive: true });
    await rm(directory, { recursive: true, force: true });
    await rename(folder, directory);
    const current: CurrentImage = { ...image, directory, sources: inputs.sources };
    const previous = await this.current(description.name);
    await replaceFile(path.join(this.root, description.name, 'current.json'), `${JSON.stringify(current, null, 2)}\n`);
    await this.#prune(description.name, [digest, previous?.digest]);
    return current;
  }

  /** Removes builds nobody can be reading any more: all but the current one and the one before it. */
  async #prune(name: string, kept: readonly (string | undefined)[]): Promise<void> {
    const folder = path.join(this.root, name);
    for (const entry of await readdir(folder)) {
      if (/^[0-9a-f]{64}$/.test(entry) && !kept.includes(entry))
        await rm(path.join(folder, entry), { recursive: true });
    }
  }

  /** A fresh, empty folder on the same file system as the images. */
  async scratch(name: string): Promise<string> {
    const folder = path.join(this.workFolder, `${name}-${process.pid}`);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    return folder;
  }

  async discard(folder: string): Promise<void> {
    await rm(folder, { recursive: true, force: true });
  }

  /** Puts the BIOS files where the launcher looks for them. */
  async publishFirmware(files: Readonly<Record<string, string>>): Promise<void> {
    const folder = path.join(this.root, 'firmware');
    await mkdir(folder, { recursive: true });
    for (const [name, source] of Object.entries(files)) {
      const temporary = path.join(folder, `.${name}-${process.pid}`);
      await cp(source, temporary);
      await rename(temporary, path.join(folder, name));
    }
  }
}

export async function replaceFile(file: string, content: string): Promise<void> {
  const temporary = `${file}.${process.pid}`;
  await writeFile(temporary, content);
  await rename(temporary, file);
}
