import { cpioArchive, type CpioEntry } from './cpio.ts';

/** Reads an archive back by the format's own description, independent of the writer. */
function parse(archive: Buffer): { path: string; mode: number; content: string }[] {
  const found = [];
  for (let at = 0; ;) {
    const field = (index: number) =>
      Number.parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16);
    expect(archive.toString('latin1', at, at + 6)).toBe('070701');
    const nameStart = at + 110;
    const name = archive.toString('utf8', nameStart, nameStart + field(11) - 1);
    const contentStart = (nameStart + field(11) + 3) & ~3;
    if (name === 'TRAILER!!!') return found;
    found.push({
      path: name,
      mode: field(1),
      content: archive.toString('utf8', contentStart, contentStart + field(6)),
    });
    at = (contentStart + field(6) + 3) & ~3;
  }
}

const entries: CpioEntry[] = [
  { type: 'file', path: 'etc/hosts', mode: 0o644, content: Buffer.from('127.0.0.1 localhost\n') },
  { type: 'symlink', path: 'bin/sh', target: 'busybox' },
  { type: 'directory', path: 'etc', mode: 0o755 },
  { type: 'directory', path: 'bin', mode: 0o755 },
];

describe('cpioArchive', () => {
  it('holds every entry, folders before what is in them', () => {
    expect(parse(cpioArchive(entries))).toEqual([
      { path: 'bin', mode: 0o040755, content: '' },
      { path: 'bin/sh', mode: 0o120777, content: 'busybox' },
      { path: 'etc', mode: 0o040755, content: '' },
      { path: 'etc/hosts', mode: 0o100644, content: '127.0.0.1 localhost\n' },
    ]);
  });

  it('gives the same bytes for the same entries in any order', () => {
    expect(cpioArchive([...entries].reverse()).equals(cpioArchive(entries))).toBe(true);
  });
});
