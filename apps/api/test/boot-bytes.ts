/** Bytes that look, to whoever checks formats, like what a PC boots. They boot nothing. */

export interface Patch {
  readonly at: number;
  /** Text is taken as Latin-1. */
  readonly bytes: Buffer | string;
}

export function blank(sizeBytes: number, ...patches: Patch[]): Buffer {
  const buffer = Buffer.alloc(sizeBytes);
  for (const { at, bytes } of patches) (typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes).copy(buffer, at);
  return buffer;
}

export const u16 = (value: number): Buffer => Buffer.from([value & 255, value >> 8]);
export function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value >>> 0);
  return buffer;
}

export const BOOT_SIGNATURE: Patch = { at: 510, bytes: u16(0xaa55) };
export const BOOT_CODE: Patch = { at: 0, bytes: '\xeb\x63\x90' };

export const bzImage = ({ version = 0x20f, xloadflags = 0, loadflags = 1, seed = '' } = {}): Buffer =>
  blank(
    4096,
    { at: 0x1fe, bytes: u16(0xaa55) },
    { at: 0x202, bytes: 'HdrS' },
    { at: 0x206, bytes: u16(version) },
    { at: 0x211, bytes: Buffer.from([loadflags]) },
    { at: 0x236, bytes: u16(xloadflags) },
    { at: 1024, bytes: seed },
  );

export const cpio = (sizeBytes = 512, seed = ''): Buffer => blank(sizeBytes, { at: 0, bytes: '070701' }, { at: 128, bytes: seed });

export const multiboot = (at: number, flags: number, ...patches: Patch[]): Buffer =>
  blank(16_384, { at, bytes: Buffer.concat([u32(0x1badb002), u32(flags), u32(-(0x1badb002 + flags))]) }, ...patches);

export const elf = (bits: 32 | 64): Patch => ({ at: 0, bytes: Buffer.from([0x7f, 0x45, 0x4c, 0x46, bits / 32]) });

export const ISO_SECTOR = 2048;

export function iso({ label = 'CORRAL', elTorito = true, platform = 0, section }: { label?: string; elTorito?: boolean; platform?: number; section?: number } = {}): Buffer {
  const buffer = blank(40 * ISO_SECTOR, { at: 16 * ISO_SECTOR, bytes: '\x01CD001\x01' }, { at: 16 * ISO_SECTOR + 40, bytes: label.padEnd(32) });
  if (elTorito) {
    Buffer.from('\x00CD001\x01EL TORITO SPECIFICATION', 'latin1').copy(buffer, 17 * ISO_SECTOR);
    u32(20).copy(buffer, 17 * ISO_SECTOR + 0x47);
    Buffer.from([1, platform]).copy(buffer, 20 * ISO_SECTOR);
    buffer[20 * ISO_SECTOR + 32] = 0x88;
    if (section !== undefined) {
      Buffer.from([0x91, section, 1, 0]).copy(buffer, 20 * ISO_SECTOR + 64);
      buffer[20 * ISO_SECTOR + 96] = 0x88;
    }
  }
  Buffer.from('\xffCD001\x01', 'latin1').copy(buffer, 18 * ISO_SECTOR);
  return buffer;
}
