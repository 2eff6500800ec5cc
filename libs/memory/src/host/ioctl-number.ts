const READ = 2;
const WRITE = 1;

/** The number of an ioctl(2). Source: include/uapi/asm-generic/ioctl.h: direction, size of the argument, type, number. */
const ioctlNumber = (direction: number, type: number, number: number, size: number): number =>
  direction * 2 ** 30 + size * 2 ** 16 + type * 2 ** 8 + number;

/** The kernel reads the argument and writes to it. */
export const readWrite = (type: number, number: number, size: number): number => ioctlNumber(READ | WRITE, type, number, size);

/** What userfaultfd calls _IOR, though the kernel only reads the argument. */
export const readOnly = (type: number, number: number, size: number): number => ioctlNumber(READ, type, number, size);
