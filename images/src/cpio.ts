/** What one entry of an archive is. Paths are relative, without a leading slash. */
export type CpioEntry =
  | { readonly type: 'file'; readonly path: string; readonly mode: number; readonly content: Uint8Array }
  | { readonly type: 'directory'; readonly path: string; readonly mode: number }
  | { readonly type: 'symlink'; readonly path: string; readonly target: string };

const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;
const BLOCK_BYTES = 512;

/**
 * A "newc" cpio archive, as the kernel's initramfs wants it: everything owned by root, no dates, parents before children,
 * so equal entries give equal bytes. Source: Documentation/driver-api/early-userspace/buffer-format.rst.
 */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  let inode = 1;
  const add = (path: string, mode: number, links: number, content: Uint8Array) => {
    const name = Buffer.from(`${path}\0`);
    const fields = [inode++, mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, name.length, 0];
    const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
    parts.push(padded(Buffer.concat([header, name])), padded(content));
  };
  for (const entry of [...entries].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))) {
    if (entry.type === 'file') add(entry.path, S_IFREG | entry.mode, 1, entry.content);
    else if (entry.type === 'directory') add(entry.path, S_IFDIR | entry.mode, 2, Buffer.alloc(0));
    else add(entry.path, S_IFLNK | 0o777, 1, Buffer.from(entry.target));
  }
  inode = 0;
  add('TRAILER!!!', 0, 1, Buffer.alloc(0));
  const archive = Buffer.concat(parts);
  return Buffer.concat([archive, Buffer.alloc(-archive.length & (BLOCK_BYTES - 1))]);
}

/** newc aligns headers and contents to four bytes. */
function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
