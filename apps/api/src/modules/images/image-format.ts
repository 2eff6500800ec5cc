import { type ArtifactRole } from '@corral/contracts';

/** Random access to an artifact's bytes. Reads past the end give fewer bytes. */
export interface ArtifactBytes {
  readonly sizeBytes: number;
  read(offset: number, length: number): Promise<Buffer>;
}

/** Every role an artifact plays may hold one more fact: whether something else boots the machine. */
export interface FormatContext {
  /** A disk beside a kernel needs no boot sector: the kernel boots, the disk is its root. */
  readonly besideKernel: boolean;
}

const SECTOR_BYTES = 512;
const ISO_SECTOR_BYTES = 2048;
const MAX_FLOPPY_BYTES = 2880 * 1024;
const MULTIBOOT_SEARCH_BYTES = 8192;

/**
 * Why the emulated PC cannot boot these bytes in this role, as a sentence for people; undefined when nothing speaks
 * against it. Looks at what the bytes say of themselves, never at names.
 */
export async function formatProblem(role: ArtifactRole, bytes: ArtifactBytes, context: FormatContext): Promise<string | undefined> {
  if (bytes.sizeBytes === 0) return `The ${role} is empty.`;
  const head = await bytes.read(0, MULTIBOOT_SEARCH_BYTES);
  if (looksLikeHtml(head)) return `The ${role} is an HTML page: the URL leads to a web page, not to the file itself.`;
  switch (role) {
    case 'kernel':
      return kernelProblem(head);
    case 'initrd':
      return initrdProblem(head);
    case 'multiboot':
      return multibootProblem(head);
    case 'cdrom':
      return cdromProblem(bytes);
    case 'floppy':
      return containerProblem('floppy', head) ?? floppyProblem(bytes.sizeBytes) ?? bootSectorProblem('floppy', head);
    case 'disk':
      return (
        containerProblem('disk', head) ??
        (await fixedVhdProblem(bytes)) ??
        wholeSectorsProblem('disk', bytes.sizeBytes) ??
        (context.besideKernel ? undefined : bootSectorProblem('disk', head))
      );
  }
}

/** Source: Linux Documentation/arch/x86/boot.rst, the real-mode kernel header. */
function kernelProblem(head: Buffer): string | undefined {
  const wanted = 'A kernel must be a 32-bit (i386) Linux bzImage';
  const container = containerNameOf(head);
  if (container) return `${wanted}; this is ${container}.`;
  if (head.length < 0x268 || head.readUInt16LE(0x1fe) !== 0xaa55 || head.toString('latin1', 0x202, 0x206) !== 'HdrS') {
    return isElf(head) ? `${wanted}; this is an ELF file such as vmlinux. Give arch/x86/boot/bzImage.` : `${wanted}; this has no bzImage header.`;
  }
  if (head.readUInt16LE(0x206) < 0x202) return `${wanted} of boot protocol 2.02 or later; this one is older.`;
  if ((head.readUInt8(0x211) & 1) === 0) return `${wanted}; this is a zImage, which loads low.`;
  const has64BitEntry = head.readUInt16LE(0x206) >= 0x20c && (head.readUInt16LE(0x236) & 1) === 1;
  return has64BitEntry ? `${wanted}; this kernel is 64-bit (x86-64), and the emulated PC has a 32-bit processor.` : undefined;
}

const INITRD_MAGICS: readonly [offset: number, magic: Buffer][] = [
  [0, Buffer.from('070701')], // cpio newc, also early microcode before the real archive
  [0, Buffer.from('070702')],
  [0, Buffer.from('1f8b', 'hex')],
  [0, Buffer.from('BZh')],
  [0, Buffer.from('fd377a585a00', 'hex')],
  [0, Buffer.from('28b52ffd', 'hex')],
  [0, Buffer.from('5d0000', 'hex')], // LZMA
  [0, Buffer.from('894c5a4f000d0a', 'hex')], // LZO
  [0, Buffer.from('02214c18', 'hex')], // LZ4, the legacy frame that Linux reads
  [0, Buffer.from('hsqs')],
  [0, Buffer.from('-rom1fs-')],
  [0, Buffer.from('453dcd28', 'hex')], // cramfs
  [1080, Buffer.from('53ef', 'hex')], // ext2
];

function initrdProblem(head: Buffer): string | undefined {
  return INITRD_MAGICS.some(([offset, magic]) => hasAt(head, offset, magic))
    ? undefined
    : 'An initrd must be a cpio archive (newc), plain or compressed with gzip, bzip2, xz, zstd, lzma, lzo or lz4, or a RAM disk image; this is none of them.';
}

/** Source: Multiboot Specification 0.6.96, sections 3.1 and 3.2. */
function multibootProblem(head: Buffer): string | undefined {
  const wanted = 'A multiboot kernel must be 32-bit and carry a Multiboot (version 1) header in its first 8 KiB';
  for (let offset = 0; offset + 12 <= head.length; offset += 4) {
    if (head.readUInt32LE(offset) !== 0x1badb002) continue;
    const flags = head.readUInt32LE(offset + 4);
    if (((0x1badb002 + flags + head.readUInt32LE(offset + 8)) & 0xffffffff) !== 0) continue;
    const bringsAddresses = (flags & 0x10000) !== 0;
    if (!bringsAddresses && isElf(head) && head[4] === 2) return `${wanted}; this is a 64-bit ELF file.`;
    if (!bringsAddresses && !isElf(head)) return `${wanted}; this header names no load addresses and the file is not ELF.`;
    return undefined;
  }
  for (let offset = 0; offset + 4 <= head.length; offset += 8) {
    if (head.readUInt32LE(offset) === 0xe85250d6) return `${wanted}; this one is Multiboot2.`;
  }
  return `${wanted}; none was found.`;
}

/** Sources: ECMA-119 (ISO 9660) 8.1; "El Torito" Bootable CD-ROM Format Specification 1.0, sections 2 and 3. */
async function cdromProblem(bytes: ArtifactBytes): Promise<string | undefined> {
  const descriptors = await bytes.read(16 * ISO_SECTOR_BYTES, 16 * ISO_SECTOR_BYTES);
  if (!hasAt(descriptors, 1, Buffer.from('CD001'))) {
    const container = containerNameOf(await bytes.read(0, SECTOR_BYTES));
    return `A CD-ROM must be an ISO 9660 image; this is ${container ?? 'not one'}.`;
  }
  const label = descriptors.toString('latin1', 40, 72).trim();
  if (/amd64|x86[-_]?64|x64/i.test(label) && !/i[3-6]86|x86[-_]32|multi/i.test(label)) {
    return `The CD-ROM "${label}" is for 64-bit (x86-64) PCs, and the emulated PC has a 32-bit processor.`;
  }
  for (let offset = 0; offset + ISO_SECTOR_BYTES <= descriptors.length; offset += ISO_SECTOR_BYTES) {
    if (!hasAt(descriptors, offset + 1, Buffer.from('CD001')) || descriptors[offset] === 255) break;
    if (descriptors[offset] !== 0 || !hasAt(descriptors, offset + 7, Buffer.from('EL TORITO SPECIFICATION'))) continue;
    const catalog = await bytes.read(descriptors.readUInt32LE(offset + 0x47) * ISO_SECTOR_BYTES, ISO_SECTOR_BYTES);
    if (catalog.length < 64) return 'The CD-ROM is cut short: its boot catalog is missing.';
    // Platform 0 is the PC with a BIOS; 0xEF is UEFI.
    return bootsByBios(catalog) ? undefined : 'The CD-ROM boots by UEFI only, and the emulated PC has a BIOS.';
  }
  return 'The CD-ROM is not bootable: it has no El Torito boot record.';
}

function bootsByBios(catalog: Buffer): boolean {
  if (catalog[1] === 0 && catalog[32] === 0x88) return true;
  for (let offset = 64; offset + 32 <= catalog.length; ) {
    const indicator = catalog[offset];
    if (indicator !== 0x90 && indicator !== 0x91) return false;
    const entries = catalog.readUInt16LE(offset + 2);
    if (catalog[offset + 1] === 0 && entries > 0 && catalog[offset + 32] === 0x88) return true;
    if (indicator === 0x91) return false;
    offset += 32 * (1 + entries);
  }
  return false;
}

function floppyProblem(sizeBytes: number): string | undefined {
  return wholeSectorsProblem('floppy', sizeBytes) ?? (sizeBytes > MAX_FLOPPY_BYTES ? 'A floppy holds at most 2.88 MB (2949120 bytes); this is larger. Give it as disk or cdrom.' : undefined);
}

function wholeSectorsProblem(role: ArtifactRole, sizeBytes: number): string | undefined {
  return sizeBytes % SECTOR_BYTES === 0 ? undefined : `A ${role} must be a raw image of whole 512-byte sectors; this has ${sizeBytes} bytes.`;
}

function bootSectorProblem(role: ArtifactRole, head: Buffer): string | undefined {
  if (head.length < SECTOR_BYTES || head.readUInt16LE(510) !== 0xaa55) return `The ${role} is not bootable: its first sector has no boot signature (55 AA).`;
  if (role === 'disk' && head.subarray(0, 440).every((byte) => byte === 0)) {
    return 'The disk is not bootable by a BIOS: its first sector has no boot code. A disk made for UEFI does not start on the emulated PC.';
  }
  return undefined;
}

const CONTAINERS: readonly [magic: Buffer, name: string][] = [
  [Buffer.from('QFI\xfb', 'latin1'), 'a QEMU image (qcow2): convert it with qemu-img convert -O raw'],
  [Buffer.from('KDMV'), 'a VMware disk (VMDK): convert it with qemu-img convert -O raw'],
  [Buffer.from('# Disk DescriptorFile'), 'a VMware disk descriptor: convert the disk with qemu-img convert -O raw'],
  [Buffer.from('vhdxfile'), 'a Hyper-V disk (VHDX): convert it with qemu-img convert -O raw'],
  [Buffer.from('conectix'), 'a Virtual PC disk (VHD): convert it with qemu-img convert -O raw'],
  [Buffer.from('1f8b', 'hex'), 'compressed with gzip: uncompress it first'],
  [Buffer.from('fd377a585a00', 'hex'), 'compressed with xz: uncompress it first'],
  [Buffer.from('28b52ffd', 'hex'), 'compressed with zstd: uncompress it first'],
  [Buffer.from('BZh'), 'compressed with bzip2: uncompress it first'],
  [Buffer.from('PK\x03\x04'), 'a zip archive: unpack it first'],
  [Buffer.from('377abcaf271c', 'hex'), 'a 7-Zip archive: unpack it first'],
];
const VDI_SIGNATURE = Buffer.from('7f10dabe', 'hex');

function containerNameOf(head: Buffer): string | undefined {
  if (hasAt(head, 0x40, VDI_SIGNATURE)) return 'a VirtualBox disk (VDI): convert it with qemu-img convert -O raw';
  return CONTAINERS.find(([magic]) => hasAt(head, 0, magic))?.[1];
}

function containerProblem(role: ArtifactRole, head: Buffer): string | undefined {
  const name = containerNameOf(head);
  return name && `A ${role} must be a raw image; this is ${name}.`;
}

/** A fixed VHD is a raw disk with one more sector, which would show in the guest as a disk of another size. */
async function fixedVhdProblem(bytes: ArtifactBytes): Promise<string | undefined> {
  const footer = await bytes.read(Math.max(0, bytes.sizeBytes - SECTOR_BYTES), 8);
  return footer.toString('latin1') === 'conectix' ? containerProblem('disk', footer) : undefined;
}

const isElf = (head: Buffer): boolean => hasAt(head, 0, Buffer.from('\x7fELF', 'latin1'));
const looksLikeHtml = (head: Buffer): boolean => /^(\xef\xbb\xbf)?\s*<(!doctype\s+html|html|head|\?xml)/i.test(head.toString('latin1', 0, 256));
const hasAt = (bytes: Buffer, offset: number, magic: Buffer): boolean => bytes.subarray(offset, offset + magic.length).equals(magic);
