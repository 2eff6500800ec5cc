import { bzImagePayload, rawBzImage } from './bzimage.ts';

const ENTRY = 0x1000040;
const PAYLOAD = Buffer.from('compressed');

/** One setup sector and its header, then a protected-mode part with a payload in it. */
function aBzImage(): Buffer {
  const image = Buffer.alloc(2 * 512 + 256);
  image.writeUInt8(1, 0x1f1);
  image.write('HdrS', 0x202, 'latin1');
  image.writeUInt32LE(64, 0x248);
  image.writeUInt32LE(PAYLOAD.length + 4, 0x24c);
  PAYLOAD.copy(image, 2 * 512 + 64);
  return image;
}

/** An ELF file with two loadable segments, and a hole between them. */
function aKernel(): Buffer {
  const elf = Buffer.alloc(0x200);
  elf.write('\x7fELF\x01', 0, 'latin1');
  elf.writeUInt32LE(ENTRY, 0x18);
  elf.writeUInt32LE(0x34, 0x1c);
  elf.writeUInt16LE(32, 0x2a);
  elf.writeUInt16LE(3, 0x2c);
  const segments = [
    { type: 1, offset: 0x100, address: 0x1000000, bytes: 'first' },
    { type: 4, offset: 0x180, address: 0, bytes: 'a note' },
    { type: 1, offset: 0x140, address: 0x1000020, bytes: 'second' },
  ];
  segments.forEach(({ type, offset, address, bytes }, index) => {
    elf.writeUInt32LE(type, 0x34 + index * 32);
    elf.writeUInt32LE(offset, 0x34 + index * 32 + 4);
    elf.writeUInt32LE(address, 0x34 + index * 32 + 12);
    elf.writeUInt32LE(bytes.length, 0x34 + index * 32 + 16);
    elf.write(bytes, offset);
  });
  return elf;
}

describe('a bzImage', () => {
  it('gives up its payload without the size behind it', () => {
    expect(bzImagePayload(aBzImage()).equals(PAYLOAD)).toBe(true);
  });

  it('is repacked with its setup kept and its segments laid out as linked', () => {
    const raw = rawBzImage(aBzImage(), aKernel());
    const flat = raw.subarray(2 * 512 + 0x1000);
    expect(raw.subarray(0x200, 2 * 512).equals(aBzImage().subarray(0x200, 2 * 512))).toBe(true);
    expect(raw.readUInt32LE(0x1f4)).toBe(Math.ceil((raw.length - 2 * 512) / 16));
    expect(flat.toString('latin1', 0, 5)).toBe('first');
    expect(flat.toString('latin1', 0x20, 0x26)).toBe('second');
    expect(raw.subarray(2 * 512, 2 * 512 + 64).includes(Buffer.from([0x40, 0x00, 0x00, 0x01, 0xff, 0xe0]))).toBe(true);
  });

  it.each([
    ['a file that is no kernel', Buffer.alloc(4096), aKernel()],
    ['a payload that is no ELF file', aBzImage(), Buffer.from('MZ, not ELF')],
  ])('is refused: %s', (_, bzImage, kernel) => {
    expect(() => rawBzImage(bzImage, kernel)).toThrow(expect.objectContaining({ code: 'dependency.unavailable' }));
  });
});
