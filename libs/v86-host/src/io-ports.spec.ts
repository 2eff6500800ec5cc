import { shareEmptyPorts } from './io-ports.ts';
import type { IoPort, IoPorts } from './v86.internals.ts';

/** As upstream's: registering writes into the port's object. */
class Ports implements IoPorts {
  readonly ports: IoPort[] = [];
  readonly #nothing = (): number => 255;
  readonly #ignore = (): void => undefined;

  constructor() {
    for (let port = 0; port < 16; port += 1) this.ports.push(this.create_empty_entry());
  }

  create_empty_entry(): IoPort {
    const [read, write] = [this.#nothing, this.#ignore];
    return { read8: read, read16: read, read32: read, write8: write, write16: write, write32: write, device: undefined };
  }

  register_read(port: number, device: unknown, read8?: IoPort['read8']): void {
    Object.assign(this.ports[port] ?? {}, { device }, read8 ? { read8 } : {});
  }

  register_write(port: number, device: unknown, write8?: IoPort['write8']): void {
    Object.assign(this.ports[port] ?? {}, { device }, write8 ? { write8 } : {});
  }
}

describe('ports that no device has', () => {
  it('are one object, and a device keeps its own', () => {
    const io = new Ports();
    io.register_read(3, 'device', () => 7);
    shareEmptyPorts(io);
    expect(new Set(io.ports).size).toBe(2);
    expect([io.ports[3]?.read8(3), io.ports[4]?.read8(4)]).toEqual([7, 255]);
  });

  it('do not change when a device takes one of them later', () => {
    const io = new Ports();
    shareEmptyPorts(io);
    io.register_read(5, 'late', () => 9);
    io.register_write(6, 'late', () => undefined);
    expect([io.ports[5]?.read8(5), io.ports[6]?.device, io.ports[7]?.read8(7), io.ports[7]?.device]).toEqual([9, 'late', 255, undefined]);
  });

  it('are the same again where a device was', () => {
    const io = new Ports();
    io.register_read(3, 'device', () => 7);
    shareEmptyPorts(io);
    const moved = io.ports[3];
    io.ports[3] = io.create_empty_entry();
    if (moved) io.ports[8] = moved;
    expect([io.ports[3], io.ports[8]?.read8(8)]).toEqual([io.ports[4], 7]);
  });
});
