export interface Walk {
  readonly mib: number;
  /** Every word is written back as it was read. */
  readonly writes: boolean;
}

/** Where the program is put in its address space; there is no other. */
const ORIGIN = 0x08048000;
const HEADERS_BYTES = 84;

/**
 * A Linux program of some two hundred bytes that fills so much memory with words that are known, half of them zero, as
 * guests' memory packs; then, for each byte on standard input, goes through all of it in order, and answers `.`, or `!` where the sum of
 * its words is another. It needs no compiler and no library. Source: Intel SDM volume 2; elf(5); syscall numbers of i386.
 */
export function walkerProgram({ mib, writes }: Walk): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(mib * 2 ** 20);
  const length = bytes.toString('hex');
  const store = writes ? '8917' : '9090';
  const code = Buffer.from(
    [
      // esi = mmap2(0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      'b8c0000000', '31db', `b9${length}`, 'ba03000000', 'be22000000', 'bfffffffff', '31ed', 'cd80', '89c6',
      // from edi = esi to ebx: every word is its address times a large number, and zero in every other eight bytes
      '89f7', `8d9e${length}`, '69c7b179379e', 'f7c708000000', '7402', '31c0', '8907', '83c704', '39df', '72e7',
      // ebp = the sum; and a byte on the stack to read into
      'e843000000', '89c5', '50',
      // read(0, esp, 1), or exit
      'b803000000', '31db', '89e1', 'ba01000000', 'cd80', '48', '7526',
      // '.' if the sum is ebp, else '!'; write(1, esp, 1), and again
      'e828000000', 'c604242e', '39e8', '7404', 'c6042421', 'b804000000', 'bb01000000', '89e1', 'ba01000000', 'cd80', 'ebc7',
      'b801000000', 'cd80',
      // eax = the sum of all words from edi = esi to ebx
      '89f7', `8d9e${length}`, '31c0', '8b17', '01d0', store, '83c704', '39df', '72f3', 'c3',
    ].join(''),
    'hex',
  );
  return Buffer.concat([headers(code.byteLength), code]);
}

/** One segment, to read and to execute. Source: elf(5). */
function headers(codeBytes: number): Buffer {
  const size = HEADERS_BYTES + codeBytes;
  const elf = Buffer.alloc(HEADERS_BYTES);
  Buffer.from('7f454c46010101', 'hex').copy(elf);
  [[16, 2], [18, 3], [40, 52], [42, 32], [44, 1]].forEach(([at = 0, value = 0]) => elf.writeUInt16LE(value, at));
  [[20, 1], [24, ORIGIN + HEADERS_BYTES], [28, 52], [52, 1], [60, ORIGIN], [64, ORIGIN], [68, size], [72, size], [76, 5], [80, 0x1000]].forEach(([at = 0, value = 0]) => elf.writeUInt32LE(value, at));
  return elf;
}
