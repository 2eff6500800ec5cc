import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { digestOfInputs, ImageStore, type BuildInputs, type CurrentImage } from './image-store.ts';
import type { DebianPackage } from './private-apt.ts';

const aPackage = (over: Partial<DebianPackage> = {}): DebianPackage => ({
  name: 'busybox-static',
  version: '1.35',
  architecture: 'i386',
  fileName: 'busybox-static_1.35_i386.deb',
  sizeBytes: 1,
  sha256: 'ab'.repeat(32),
  ...over,
});
const description = {
  name: 'linux-minimal',
  description: 'an image',
  commandLine: '',
  memory: '128Mi',
  minimumMemory: '96Mi',
  guestAgent: true,
  acpi: false,
  kernelFlavor: 'stock' as const,
};

describe('the digest of what an image is built of', () => {
  const inputs: BuildInputs = { sources: 'one', packages: [aPackage(), aPackage({ name: 'seabios' })] };

  it('does not depend on the order of packages', () => {
    expect(digestOfInputs({ ...inputs, packages: [...inputs.packages].reverse() })).toBe(digestOfInputs(inputs));
  });

  it.each<[string, BuildInputs]>([
    ['a source', { ...inputs, sources: 'two' }],
    ['a version', { ...inputs, packages: [aPackage({ version: '1.36' }), aPackage({ name: 'seabios' })] }],
    [
      'the bytes of a package',
      { ...inputs, packages: [aPackage({ sha256: 'cd'.repeat(32) }), aPackage({ name: 'seabios' })] },
    ],
    ['the set of packages', { ...inputs, packages: [aPackage()] }],
  ])('changes with %s', (_, changed) => {
    expect(digestOfInputs(changed)).not.toBe(digestOfInputs(inputs));
  });
});

describe('an image store', () => {
  let home: string;
  let store: ImageStore;

  beforeEach(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'corral-store-'));
    store = new ImageStore(home);
  });
  afterEach(() => rm(home, { recursive: true, force: true }));

  async function publish(sources: string): Promise<CurrentImage> {
    const folder = await store.scratch('building');
    await writeFile(path.join(folder, 'vmlinuz'), sources);
    return store.publish(folder, description, { kernel: 'vmlinuz' }, { sources, packages: [] });
  }

  it('gives back what was published, with the digest of each file', async () => {
    const published = await publish('first');
    expect(await store.current('linux-minimal')).toEqual(published);
    expect(published.artifacts.kernel).toEqual({
      file: 'vmlinuz',
      sha256: 'a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e',
      sizeBytes: 5,
    });
    expect(JSON.parse(await readFile(path.join(published.directory, 'image.json'), 'utf8'))).not.toHaveProperty(
      'directory',
    );
  });

  it('knows no image whose files were damaged or removed', async () => {
    const { directory } = await publish('first');
    await writeFile(path.join(directory, 'vmlinuz'), 'cut');
    expect(await store.current('linux-minimal')).toBeUndefined();
  });

  it('keeps the image before the current one, and none before that', async () => {
    await publish('first');
    const second = await publish('second');
    const third = await publish('third');
    expect((await readdir(path.join(home, 'images/linux-minimal'))).sort()).toEqual(
      ['current.json', second.digest, third.digest].sort(),
    );
  });
});
