import fc from 'fast-check';
import { encodeFrame, FrameDecoder, GuestFrame, HEADER_BYTES, type Frame } from './frame.ts';

const frame = fc.record({
  type: fc.constantFrom(GuestFrame.Out, GuestFrame.Err, GuestFrame.Exit, GuestFrame.Reply),
  flags: fc.nat(255),
  epoch: fc.nat(0xffff),
  channel: fc.nat(0xffff_ffff),
  payload: fc.uint8Array({ maxLength: 300 }),
});
/** What a shell, a kernel or a fuzzer might write; seldom, by chance, the start of a header. */
const garbage = fc.oneof(
  fc.uint8Array({ maxLength: 64 }),
  fc.constantFrom('GA1', 'GA1\x1a', 'G', 'GGGG', '[    1.2] random: crng init done\r\n').map((text) => new TextEncoder().encode(text)),
);

function copy({ payload, ...rest }: Frame): Frame {
  return { ...rest, payload: payload.slice() };
}

function decodeInChunks(bytes: Uint8Array, cuts: readonly number[]): Frame[] {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  let from = 0;
  for (const cut of [...cuts.map((part) => part % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    frames.push(...decoder.push(bytes.slice(from, cut)).map(copy));
    from = Math.max(from, cut);
  }
  return frames;
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

it('reads every frame, however the bytes were cut and whatever lies between the frames', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(garbage, frame), { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 12 }), (parts, cuts) => {
      const bytes = join(parts.flatMap(([noise, sent]) => [noise, encodeFrame(sent)]));
      expect(decodeInChunks(bytes, cuts)).toEqual(parts.map(([, sent]) => sent));
    }),
  );
});

it('believes no header with a flipped bit', () => {
  fc.assert(
    fc.property(frame, fc.nat(HEADER_BYTES * 8 - 1), (sent, bit) => {
      const bytes = encodeFrame(sent);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(new FrameDecoder().push(bytes)).not.toContainEqual(sent);
    }),
  );
});

it('finds the next frame after a half frame, when the agent greets', () => {
  const half = encodeFrame({ type: GuestFrame.Out, flags: 0, epoch: 1, channel: 1, payload: new Uint8Array(1000) }).subarray(0, 500);
  const hello = { type: GuestFrame.Hello, flags: 1, epoch: 0, channel: 0, payload: new Uint8Array(0) };
  const decoder = new FrameDecoder();
  expect(decoder.push(half)).toEqual([]);
  expect(decoder.push(encodeFrame(hello))).toEqual([hello]);
  expect(decoder.skippedBytes).toBe(500);
});

it('keeps no more than one frame of a guest that never finishes one', () => {
  const tooLong = encodeFrame({ type: GuestFrame.Out, flags: 0, epoch: 1, channel: 1, payload: new Uint8Array(40_000) });
  const sent = { type: GuestFrame.Out, flags: 0, epoch: 1, channel: 1, payload: Uint8Array.of(1) };
  const decoder = new FrameDecoder();
  expect([...decoder.push(tooLong), ...decoder.push(encodeFrame(sent))]).toEqual([sent]);
});
