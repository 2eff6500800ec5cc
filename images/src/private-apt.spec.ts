import { parsePrintedUris } from './private-apt.ts';

const DIGEST = 'ab'.repeat(32);

describe('what apt prints of packages', () => {
  it('becomes names, versions with epochs, sizes and digests', () => {
    const text = [
      'Reading package lists...',
      `'https://mirror.example/b/busybox-static_1.35.0_i386.deb' busybox-static_1%3a1.35.0-4+deb12u1_i386.deb 958344 SHA256:${DIGEST}`,
    ].join('\n');
    expect(parsePrintedUris(text)).toEqual([
      {
        name: 'busybox-static',
        version: '1:1.35.0-4+deb12u1',
        architecture: 'i386',
        fileName: 'busybox-static_1%3a1.35.0-4+deb12u1_i386.deb',
        sizeBytes: 958344,
        sha256: DIGEST,
      },
    ]);
  });

  it('ignores a package without a SHA-256', () => {
    expect(
      parsePrintedUris(`'https://mirror.example/a_1_all.deb' a_1_all.deb 10 MD5Sum:00112233445566778899aabbccddeeff`),
    ).toEqual([]);
  });
});
