import { Problem } from '@corral/contracts';

/** Offsets in the setup header. Source: Documentation/x86/boot.rst. */
const SETUP_SECTORS = 0x1f1;
const PROTECTED_MODE_PARAGRAPHS = 0x1f4;
const MAGIC = 0x202;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const SECTOR_BYTES = 512;
const HDRS = 0x53726448;

/** Where boot loaders put the protected-mode part, and where our copy of the kernel begins in it. */
const LOAD_ADDRESS = 0x100000;
const STUB_BYTES = 0x1000;

const PT_LOAD = 1;

function protectedModeOffset(bzImage: Buffer): number {
  if (bzImage.length < 0x260 || bzImage.readUInt32LE(MAGIC) !== HDRS)
    throw new Problem('dependency.unavailable', 'the kernel is not a bzImage');
  return ((bzImage.readUInt8(SETUP_SECTORS) || 4) + 1) * SECTOR_BYTES;
}

/** The compressed kernel inside a bzImage, without the four bytes of size that follow it. */
export function bzImagePayload(bzImage: Buffer): Buffer {
  const start = protectedModeOffset(bzImage) + bzImage.readUInt32LE(PAYLOAD_OFFSET);
  return bzImage.subarray(start, start + bzImage.readUInt32LE(PAYLOAD_LENGTH) - 4);
}

/**
 * The same kernel, not compressed: the setup sectors of `bzImage`, then a 32-bit stub that copies the loadable segments of
 * `vmlinux` to where they were linked and jumps to the entry. Unpacking is seconds of emulated work that every boot would
 * pay; copying is milliseconds.
 */
export function rawBzImage(bzImage: Buffer, vmlinux: Buffer): Buffer {
  if (vmlinux.subarray(0, 5).toString('latin1') !== '\x7fELF\x01')
    throw new Problem('dependency.unavailable', 'the kernel inside the bzImage is not a 32-bit ELF file');
  const entry = vmlinux.readUInt32LE(0x18);
  const segments = loadableSegments(vmlinux);
  const low = Math.min(...segments.map(({ address }) => address));
  const high = Math.max(...segments.map(({ address, bytes }) => address + bytes.length));
  const words = Math.ceil((high - low) / 4);
  const source = LOAD_ADDRESS + STUB_BYTES;
  if (low < source)
    throw new Problem('dependency.unavailable', 'the kernel is linked below the place it is copied from');
  const offset = protectedModeOffset(bzImage);
  const output = Buffer.alloc(offset + STUB_BYTES + words * 4);
  bzImage.copy(output, 0, 0, offset);
  copyStub({ from: source + words * 4 - 4, to: low + words * 4 - 4, words, entry }).copy(output, offset);
  for (const { address, bytes } of segments) bytes.copy(output, offset + STUB_BYTES + address - low);
  output.writeUInt32LE(Math.ceil((output.length - offset) / 16), PROTECTED_MODE_PARAGRAPHS);
  return output;
}

function loadableSegments(elf: Buffer): { address: number; bytes: Buffer }[] {
  const table = elf.readUInt32LE(0x1c);
  const entryBytes = elf.readUInt16LE(0x2a);
  const segments = [];
  for (let index = 0; index < elf.readUInt16LE(0x2c); index++) {
    const header = table + index * entryBytes;
    if (elf.readUInt32LE(header) !== PT_LOAD) continue;
    const start = elf.readUInt32LE(header + 4);
    segments.push({
      address: elf.readUInt32LE(header + 12),
      bytes: elf.subarray(start, start + elf.readUInt32LE(header + 16)),
    });
  }
  if (segments.length === 0) throw new Problem('dependency.unavailable', 'the kernel has nothing to load');
  return segments;
}

/** Copies backwards, because the destination lies above the source and may overlap it. The kernel wants esi = boot params. */
function copyStub({ from, to, words, entry }: { from: number; to: number; words: number; entry: number }): Buffer {
  const u32 = (value: number) => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
  return Buffer.from([
    0xfa, // cli
    0x89,
    0xf5, // mov ebp, esi
    0xfd, // std
    0xbe,
    ...u32(from), // mov esi, from
    0xbf,
    ...u32(to), // mov edi, to
    0xb9,
    ...u32(words), // mov ecx, words
    0xf3,
    0xa5, // rep movsd
    0xfc, // cld
    0x89,
    0xee, // mov esi, ebp
    0x31,
    0xed, // xor ebp, ebp
    0x31,
    0xdb, // xor ebx, ebx
    0xb8,
    ...u32(entry), // mov eax, entry
    0xff,
    0xe0, // jmp eax
  ]);
}
