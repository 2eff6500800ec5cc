import { VirtualMachineImageSpec, type StoredArtifact } from '@corral/contracts';
import { imageDigest, minimumMemoryMiB } from './image-digest.ts';

const stored = (fill: string, sizeBytes = 5): StoredArtifact => ({ key: `artifacts/sha256/${fill}`, sha256: fill.repeat(64), sizeBytes });
const spec = (with_: Record<string, unknown> = {}): VirtualMachineImageSpec => VirtualMachineImageSpec.parse({ kernel: { url: 'https://a/b' }, ...with_ });
const artifacts = { kernel: stored('a'), initrd: stored('b') };

describe('imageDigest', () => {
  it('is the same for what looks the same to the guest', () => {
    const digest = imageDigest(spec(), artifacts);
    expect(imageDigest(spec({ description: 'other', memory: '256Mi', minimumMemory: '96Mi', kernel: { url: 'https://elsewhere/' } }), { initrd: stored('b', 9), kernel: stored('a') })).toBe(digest);
  });

  it('changes with everything the guest can see', () => {
    const digests = [
      imageDigest(spec(), artifacts),
      imageDigest(spec({ commandLine: 'quiet' }), artifacts),
      imageDigest(spec({ acpi: true }), artifacts),
      imageDigest(spec({ guestAgent: true }), artifacts),
      imageDigest(spec(), { kernel: stored('a') }),
      imageDigest(spec(), { kernel: stored('a'), initrd: stored('c') }),
      imageDigest(spec(), { kernel: stored('b'), initrd: stored('a') }),
      imageDigest(spec(), { disk: stored('a'), initrd: stored('b') }),
    ];
    expect(new Set(digests).size).toBe(digests.length);
  });

  it('does not change between versions: golden snapshots are found by it', () => {
    expect(imageDigest(spec({ commandLine: 'console=ttyS0', guestAgent: true }), artifacts)).toBe('c6ecd6b573f19caeb29de1ccec60387f8c5da1113d8c0fc9d153b557e2b65749');
  });
});

describe('minimumMemoryMiB', () => {
  it('leaves room for v86’s initrd at 64 MiB', () => {
    expect(minimumMemoryMiB({ kernel: stored('a'), initrd: stored('b', 10 * 2 ** 20) })).toBe(75);
    expect(minimumMemoryMiB({ kernel: stored('a'), initrd: stored('b', 10 * 2 ** 20 + 1) })).toBe(76);
  });

  it('asks nothing of images without an initrd', () => {
    expect(minimumMemoryMiB({ kernel: stored('a'), disk: stored('b') })).toBe(0);
  });
});
