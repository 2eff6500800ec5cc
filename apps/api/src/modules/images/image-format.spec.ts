import fc from 'fast-check';
import { type ArtifactRole } from '@corral/contracts';
import { blank, BOOT_CODE as bootCode, BOOT_SIGNATURE as bootSignature, bzImage, elf, iso, ISO_SECTOR as SECTOR, multiboot, u32 } from '../../../test/boot-bytes.ts';
import { formatProblem, type ArtifactBytes } from './image-format.ts';

const bytesOf = (buffer: Buffer): ArtifactBytes => ({
  sizeBytes: buffer.length,
  read: (offset, length) => Promise.resolve(buffer.subarray(offset, offset + length)),
});
const problem = (role: ArtifactRole, buffer: Buffer, besideKernel = false): Promise<string | undefined> => formatProblem(role, bytesOf(buffer), { besideKernel });

describe('formatProblem accepts what v86 boots', () => {
  it.each<[string, ArtifactRole, Buffer, boolean?]>([
    ['a bzImage', 'kernel', bzImage()],
    ['a bzImage of the oldest protocol v86 loads', 'kernel', bzImage({ version: 0x202 })],
    ['an old bzImage with rubbish where newer ones have xloadflags', 'kernel', bzImage({ version: 0x20b, xloadflags: 1 })],
    ['a plain cpio', 'initrd', blank(512, { at: 0, bytes: '070701' })],
    ['a gzipped cpio', 'initrd', blank(512, { at: 0, bytes: '\x1f\x8b' })],
    ['a zstd cpio', 'initrd', blank(512, { at: 0, bytes: '\x28\xb5\x2f\xfd' })],
    ['an ext2 RAM disk', 'initrd', blank(4096, { at: 1080, bytes: '\x53\xef' })],
    ['a multiboot ELF kernel', 'multiboot', multiboot(4096, 3, elf(32))],
    ['a multiboot kernel whose header is the last that fits', 'multiboot', multiboot(8180, 0x10000)],
    ['a 64-bit ELF that brings its own load addresses', 'multiboot', multiboot(64, 0x10003, elf(64))],
    ['a bootable CD-ROM', 'cdrom', iso()],
    ['a CD-ROM that boots by UEFI first and by BIOS too', 'cdrom', iso({ platform: 0xef, section: 0 })],
    ['a CD-ROM for both 32 and 64 bits', 'cdrom', iso({ label: 'Debian 12 amd64 i386' })],
    ['a 1.44 MB floppy', 'floppy', blank(1474560, bootCode, bootSignature)],
    ['a floppy that is not full, as grub-mkrescue makes them', 'floppy', blank(512 * 700, bootCode, bootSignature)],
    ['a 2.88 MB floppy', 'floppy', blank(2949120, bootCode, bootSignature)],
    ['a disk with a boot sector', 'disk', blank(1 << 20, bootCode, bootSignature)],
    ['a bare file system beside a kernel', 'disk', blank(1 << 20), true],
  ])('%s', async (_what, role, buffer, besideKernel = false) => {
    expect(await problem(role, buffer, besideKernel)).toBeUndefined();
  });
});

describe('formatProblem says what is wrong with', () => {
  it.each<[string, ArtifactRole, Buffer, RegExp, boolean?]>([
    ['nothing at all', 'kernel', Buffer.alloc(0), /empty/],
    ['a web page', 'disk', blank(1024, { at: 0, bytes: '\n<!DOCTYPE html><html>' }), /HTML page/],
    ['rubbish as kernel', 'kernel', blank(4096), /no bzImage header/],
    ['a file too short to be a kernel', 'kernel', blank(100), /no bzImage header/],
    ['a kernel without the boot flag', 'kernel', blank(4096, { at: 0x202, bytes: 'HdrS' }), /no bzImage header/],
    ['a vmlinux', 'kernel', blank(4096, elf(32)), /ELF file such as vmlinux/],
    ['a 64-bit kernel', 'kernel', bzImage({ xloadflags: 1 }), /64-bit/],
    ['a kernel of an old protocol', 'kernel', bzImage({ version: 0x201 }), /older/],
    ['a zImage', 'kernel', bzImage({ loadflags: 0 }), /zImage/],
    ['a compressed kernel', 'kernel', blank(4096, { at: 0, bytes: '\x1f\x8b' }), /gzip/],
    ['rubbish as initrd', 'initrd', blank(4096), /none of them/],
    ['no multiboot header', 'multiboot', blank(16384, elf(32)), /none was found/],
    ['a multiboot header with a wrong checksum', 'multiboot', blank(16384, elf(32), { at: 64, bytes: Buffer.concat([u32(0x1badb002), u32(3), u32(5)]) }), /none was found/],
    ['a multiboot header that is not aligned', 'multiboot', multiboot(66, 0x10000), /none was found/],
    ['a multiboot header beyond the first 8 KiB', 'multiboot', multiboot(8192, 0x10000), /none was found/],
    ['a 64-bit multiboot kernel', 'multiboot', multiboot(64, 3, elf(64)), /64-bit/],
    ['a Multiboot2 kernel', 'multiboot', blank(16384, elf(32), { at: 64, bytes: u32(0xe85250d6) }), /Multiboot2/],
    ['a CD-ROM that is no ISO 9660', 'cdrom', blank(100_000), /ISO 9660/],
    ['a qcow2 as CD-ROM', 'cdrom', blank(100_000, { at: 0, bytes: 'QFI\xfb' }), /qcow2/],
    ['a CD-ROM that does not boot', 'cdrom', iso({ elTorito: false }), /not bootable/],
    ['a CD-ROM that boots by UEFI only', 'cdrom', iso({ platform: 0xef }), /UEFI only/],
    ['a 64-bit CD-ROM', 'cdrom', iso({ label: 'Ubuntu 24.04 LTS amd64' }), /64-bit/],
    ['a CD-ROM cut short', 'cdrom', iso().subarray(0, 20 * SECTOR), /cut short/],
    ['a floppy too large', 'floppy', blank(2949120 + 512, bootCode, bootSignature), /at most 2.88 MB/],
    ['a floppy with half a sector', 'floppy', blank(1474560 + 100, bootCode, bootSignature), /whole 512-byte sectors/],
    ['a floppy that does not boot', 'floppy', blank(1474560), /55 AA/],
    ['a disk that does not boot', 'disk', blank(1 << 20), /55 AA/],
    ['a disk made for UEFI', 'disk', blank(1 << 20, bootSignature), /UEFI/],
    ['a disk with half a sector', 'disk', blank((1 << 20) + 1, bootCode, bootSignature), /whole 512-byte sectors/],
    ['half a sector beside a kernel', 'disk', blank(1000), /whole 512-byte sectors/, true],
    ['a qcow2', 'disk', blank(1 << 20, { at: 0, bytes: 'QFI\xfb' }, bootSignature), /qemu-img convert/],
    ['a VMDK', 'disk', blank(1 << 20, { at: 0, bytes: 'KDMV' }), /VMDK/],
    ['a VDI', 'disk', blank(1 << 20, { at: 0x40, bytes: '\x7f\x10\xda\xbe' }), /VDI/],
    ['a VHDX', 'disk', blank(1 << 20, { at: 0, bytes: 'vhdxfile' }), /VHDX/],
    ['a VHD', 'disk', blank(1 << 20, bootCode, bootSignature, { at: (1 << 20) - 512, bytes: 'conectix' }), /VHD/],
    ['an xz disk', 'disk', blank(4096, { at: 0, bytes: '\xfd7zXZ\0' }), /xz/],
    ['a zipped disk beside a kernel', 'disk', blank(4096, { at: 0, bytes: 'PK\x03\x04' }), /zip/, true],
  ])('%s', async (_what, role, buffer, expected, besideKernel = false) => {
    expect(await problem(role, buffer, besideKernel)).toMatch(expected);
  });

  it('any bytes at all without failing', async () => {
    const roles = fc.constantFrom<ArtifactRole>('kernel', 'initrd', 'disk', 'cdrom', 'floppy', 'multiboot');
    await fc.assert(
      fc.asyncProperty(roles, fc.uint8Array({ maxLength: 3000 }), fc.boolean(), async (role, raw, besideKernel) => {
        expect(['string', 'undefined']).toContain(typeof (await problem(role, Buffer.from(raw), besideKernel)));
      }),
    );
  });

  it('any boot catalog without failing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 200, maxLength: 200 }), async (raw) => {
        const disc = iso();
        Buffer.from(raw).copy(disc, 20 * SECTOR);
        expect(['string', 'undefined']).toContain(typeof (await problem('cdrom', disc)));
      }),
    );
  });
});
