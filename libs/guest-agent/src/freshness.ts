/** What a guest must be told after it was started from a snapshot, so that it is not its own twin. */
export interface Freshness {
  readonly epochMilliseconds: number;
  /** Mixed into the kernel's generator, which is then reseeded. */
  readonly seed: Uint8Array;
  readonly hostname: string;
  /** 32 hex digits, as /etc/machine-id has them. */
  readonly machineId: string;
  readonly macAddress: string;
}

const Tag = { Clock: 1, Seed: 2, Hostname: 3, MachineId: 4, MacAddress: 5 } as const;
const INTERFACE = 'eth0';

/** As type-length-values: u16 type, u16 length, bytes. */
export function encodeFreshness(fresh: Partial<Freshness>): Uint8Array {
  const values: Uint8Array[] = [];
  const text = new TextEncoder();
  if (fresh.epochMilliseconds !== undefined) {
    const clock = new Uint8Array(8);
    new DataView(clock.buffer).setBigUint64(0, BigInt(Math.round(fresh.epochMilliseconds * 1000)) * 1000n, true);
    values.push(tagged(Tag.Clock, clock));
  }
  if (fresh.seed) values.push(tagged(Tag.Seed, fresh.seed));
  if (fresh.hostname !== undefined) values.push(tagged(Tag.Hostname, text.encode(fresh.hostname)));
  if (fresh.machineId !== undefined) values.push(tagged(Tag.MachineId, text.encode(`${fresh.machineId}\n`)));
  if (fresh.macAddress !== undefined) {
    const mac = fresh.macAddress.split(':').map((part) => Number.parseInt(part, 16));
    values.push(tagged(Tag.MacAddress, Uint8Array.of(...mac, ...text.encode(INTERFACE))));
  }
  return Uint8Array.from(values.flatMap((value) => [...value]));
}

function tagged(tag: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + value.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, tag, true);
  view.setUint16(2, value.length, true);
  bytes.set(value, 4);
  return bytes;
}
