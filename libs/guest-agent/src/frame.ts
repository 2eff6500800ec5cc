/**
 * One message on the channel between host and guest agent: a 16-byte little-endian header and a payload
 * (docs/guest-agent.md). The channel is a byte stream that anything in the guest may write to, so a reader believes
 * only headers whose magic and checksum are right.
 *
 *   u32 magic · u8 type · u8 flags · u16 epoch · u32 channel · u16 payload length · u16 checksum of the 14 bytes before
 */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  /** Low 16 bits of the session; frames of another epoch are stale. */
  readonly epoch: number;
  readonly channel: number;
  readonly payload: Uint8Array;
}

export const HEADER_BYTES = 16;
/** "GA1\x1a" */
const MAGIC = 0x1a314147;
/** A longer payload is not the agent's. */
export const MAX_GUEST_PAYLOAD_BYTES = 32_000;
const MAGIC_FIRST_BYTE = 0x47;
const CHECKED_BYTES = 14;
/** A frame to the guest fits one receive buffer of its driver, so that a snapshot never cuts one in half. */
export const MAX_HOST_PAYLOAD_BYTES = 4096 - HEADER_BYTES;

export const FrameFlag = { End: 1, More: 2 } as const;

/** Host → guest. */
export const HostFrame = {
  Hello: 1, Ping: 2, Exec: 3, Data: 4, Signal: 5, Resize: 6, Credit: 7, Close: 8,
  Read: 9, Write: 10, Stat: 11, List: 12, MakeDirectory: 13, Remove: 14, Rename: 15,
  Fresh: 16, Sync: 17, Freeze: 18, Thaw: 19, Power: 20,
} as const;

/** Guest → host. */
export const GuestFrame = {
  Hello: 0x81, Pong: 0x82, Started: 0x83, Out: 0x84, Err: 0x85, Exit: 0x86, Credit: 0x87, Reply: 0x88, End: 0x89,
} as const;

export function encodeFrame({ type, flags, epoch, channel, payload }: Frame): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint8(4, type);
  view.setUint8(5, flags);
  view.setUint16(6, epoch, true);
  view.setUint32(8, channel, true);
  view.setUint16(12, payload.length, true);
  view.setUint16(14, checksum(bytes, 0), true);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}

/** Finds frames in what arrives, however it is cut, and whatever lies between them. */
export class FrameDecoder {
  #pending: Uint8Array = new Uint8Array(0);
  #skippedBytes = 0;

  /** Bytes that belonged to no frame so far. */
  get skippedBytes(): number {
    return this.#skippedBytes;
  }

  /** The frames that are complete now. Their payloads are valid until the next call. */
  push(chunk: Uint8Array): Frame[] {
    // The agent writes each frame with one write. A HELLO at the start of a chunk is a new life of the agent, and what
    // was pending is half a frame of the old one.
    if (this.#pending.length > 0 && readHeader(chunk, 0)?.type === GuestFrame.Hello) this.#drop();
    const bytes = concat(this.#pending, chunk);
    const frames: Frame[] = [];
    let at = 0;
    while (bytes.length - at >= HEADER_BYTES) {
      const header = readHeader(bytes, at);
      if (!header) {
        const next = bytes.indexOf(MAGIC_FIRST_BYTE, at + 1);
        const resumeAt = next === -1 ? bytes.length : next;
        this.#skippedBytes += resumeAt - at;
        at = resumeAt;
        continue;
      }
      const end = at + HEADER_BYTES + header.length;
      if (end > bytes.length) break;
      const { type, flags, epoch, channel } = header;
      frames.push({ type, flags, epoch, channel, payload: bytes.subarray(at + HEADER_BYTES, end) });
      at = end;
    }
    this.#pending = bytes.slice(at);
    return frames;
  }

  #drop(): void {
    this.#skippedBytes += this.#pending.length;
    this.#pending = new Uint8Array(0);
  }
}

interface Header {
  readonly type: number;
  readonly flags: number;
  readonly epoch: number;
  readonly channel: number;
  readonly length: number;
}

function readHeader(bytes: Uint8Array, at: number): Header | undefined {
  if (bytes.length - at < HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, HEADER_BYTES);
  if (view.getUint32(0, true) !== MAGIC || view.getUint16(14, true) !== checksum(bytes, at)) return undefined;
  const length = view.getUint16(12, true);
  if (length > MAX_GUEST_PAYLOAD_BYTES) return undefined;
  return {
    type: view.getUint8(4),
    flags: view.getUint8(5),
    epoch: view.getUint16(6, true),
    channel: view.getUint32(8, true),
    length,
  };
}

/** Fletcher's: a sum and a sum of sums, one byte each. */
function checksum(bytes: Uint8Array, at: number): number {
  let sum = 1;
  let sums = 0;
  for (let index = at; index < at + CHECKED_BYTES; index += 1) {
    sum += bytes[index] ?? 0;
    sums += sum;
  }
  return (sum & 0xff) | ((sums & 0xff) << 8);
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (first.length === 0) return second;
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
