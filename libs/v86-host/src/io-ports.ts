import type { IoPort, IoPorts } from './v86.internals.ts';

/**
 * Points every I/O port that no device has at one object. Upstream makes one for each of the 65,536 ports, which is 5 MB
 * per machine.
 */
export function shareEmptyPorts(io: IoPorts): void {
  const empty = io.create_empty_entry();
  io.ports.forEach((port, number) => {
    if (isLike(port, empty)) io.ports[number] = empty;
  });
  // Upstream writes into the object it finds, and puts empty ones where a moved PCI device was.
  io.create_empty_entry = () => empty;
  const own = (number: number): void => {
    if (io.ports[number] === empty) io.ports[number] = { ...empty };
  };
  const [registerRead, registerWrite] = [io.register_read.bind(io), io.register_write.bind(io)];
  io.register_read = (number, ...rest) => {
    own(number);
    registerRead(number, ...rest);
  };
  io.register_write = (number, ...rest) => {
    own(number);
    registerWrite(number, ...rest);
  };
}

function isLike(port: IoPort, empty: IoPort): boolean {
  return (
    port.device === empty.device &&
    port.read8 === empty.read8 && port.read16 === empty.read16 && port.read32 === empty.read32 &&
    port.write8 === empty.write8 && port.write16 === empty.write16 && port.write32 === empty.write32
  );
}
