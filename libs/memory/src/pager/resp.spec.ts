import fc from 'fast-check';
import { RespReader, RespViolation, RespWriter, type RespReply } from './resp.ts';

const ascii = fc.string({ unit: fc.constantFrom(...'abcXYZ 019:-_'), maxLength: 40 });
const flat = fc.oneof(
  fc.record({ type: fc.constantFrom('Simple' as const, 'Error' as const), text: ascii }),
  fc.record({ type: fc.constant('Integer' as const), value: fc.nat() }),
  fc.record({ type: fc.constant('Bulk' as const), bytes: fc.uint8Array({ maxLength: 5_000 }) }),
  fc.constant({ type: 'Nil' as const }),
);
const reply: fc.Arbitrary<RespReply> = fc.oneof(flat, fc.record({ type: fc.constant('Array' as const), items: fc.array(flat, { maxLength: 16 }) }));

function encode(one: RespReply): Buffer {
  switch (one.type) {
    case 'Simple':
      return Buffer.from(`+${one.text}\r\n`);
    case 'Error':
      return Buffer.from(`-${one.text}\r\n`);
    case 'Integer':
      return Buffer.from(`:${one.value}\r\n`);
    case 'Bulk':
      return Buffer.concat([Buffer.from(`$${one.bytes.byteLength}\r\n`), one.bytes, Buffer.from('\r\n')]);
    case 'Nil':
      return Buffer.from('$-1\r\n');
    case 'Array':
      return Buffer.concat([Buffer.from(`*${one.items.length}\r\n`), ...one.items.map(encode)]);
  }
}

/** Views are copied: they are good until the next read only. */
const kept = (one: RespReply): unknown =>
  one.type === 'Bulk' ? Buffer.from(one.bytes).toString('hex') : one.type === 'Array' ? one.items.map(kept) : { ...one };

/** Puts bytes in as a socket gives them, cut after `sizes` in turn, and reads what is whole. */
function readAll(reader: RespReader, buffer: Uint8Array, bytes: Uint8Array, sizes: readonly number[]): unknown[] {
  const read: unknown[] = [];
  for (let [at, turn] = [0, 0]; at < bytes.byteLength; turn += 1) {
    const { offset, length } = reader.room();
    const size = Math.min(length, bytes.byteLength - at, sizes[turn % sizes.length] ?? 1);
    buffer.set(bytes.subarray(at, at + size), offset);
    reader.put(size);
    at += size;
    for (let one = reader.next(); one; one = reader.next()) read.push(kept(one));
  }
  return read;
}

const cuts = fc.array(fc.integer({ min: 1, max: 3_000 }), { minLength: 1, maxLength: 20 });

describe('RESP', () => {
  it('reads what a server says, wherever its bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(reply, { maxLength: 12 }), cuts, (replies, sizes) => {
        const buffer = new Uint8Array(128 * 1024);
        expect(readAll(new RespReader(buffer), buffer, Buffer.concat(replies.map(encode)), sizes)).toEqual(replies.map(kept));
      }),
    );
  });

  it('reads nonsense as a violation, or waits for more, and does nothing else', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.array(reply, { maxLength: 3 }).chain((some) => fc.uint8Array({ maxLength: 3 }).map((tail) => Buffer.concat([...some.map(encode), tail])))), (bytes) => {
        const buffer = new Uint8Array(1024 * 1024);
        try {
          readAll(new RespReader(buffer), buffer, bytes, [7]);
        } catch (error) {
          expect(error).toBeInstanceOf(RespViolation);
        }
      }),
    );
  });

  it.each(['$-2\r\n', '$99999999999\r\n', '*1000\r\n', '*1\r\n*1\r\n:1\r\n', '$1\r\nabc', '\r\n', 'hello\r\n', ':1e3\r\n'])('refuses %j', (text) => {
    const buffer = new Uint8Array(4096);
    expect(() => readAll(new RespReader(buffer), buffer, Buffer.from(text), [100])).toThrow(RespViolation);
  });

  it('refuses a reply that does not fit instead of growing', () => {
    const buffer = new Uint8Array(64);
    expect(() => readAll(new RespReader(buffer), buffer, Buffer.from(`$100\r\n${'x'.repeat(100)}\r\n`), [16])).toThrow(RespViolation);
  });

  it('writes commands that a reader of the same protocol understands, and says when there is no room', () => {
    const words = fc.array(fc.oneof(ascii, fc.uint8Array({ maxLength: 300 })), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(fc.array(fc.record({ words, takes: fc.nat({ max: 900 }) }), { maxLength: 20 }), (commands) => {
        const writer = new RespWriter(new Uint8Array(2_048));
        const sent: Uint8Array[] = [];
        const expected: unknown[] = [];
        for (const { words: command, takes } of commands) {
          if (writer.write(command)) expected.push(command.map((word) => Buffer.from(word).toString('hex')));
          const part = writer.waiting.subarray(0, takes);
          sent.push(part.slice());
          writer.taken(part.byteLength);
        }
        sent.push(writer.waiting.slice());
        const buffer = new Uint8Array(1024 * 1024);
        expect(readAll(new RespReader(buffer), buffer, Buffer.concat(sent), [512])).toEqual(expected);
      }),
    );
  });
});
