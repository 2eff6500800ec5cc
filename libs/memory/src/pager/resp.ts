/** A reply of a Redis server, of the kinds that are asked for here. Bulk strings are views: use them before reading on. */
export type RespReply =
  | { readonly type: 'Simple' | 'Error'; readonly text: string }
  | { readonly type: 'Integer'; readonly value: number }
  | { readonly type: 'Bulk'; readonly bytes: Uint8Array }
  | { readonly type: 'Nil' }
  | { readonly type: 'Array'; readonly items: readonly RespReply[] };

/** The server says something that is no RESP, or more than anybody asked for. */
export class RespViolation extends Error {
  override readonly name = 'RespViolation';
}

const CR = 13;
const LF = 10;
const LONGEST_LINE = 4096;
const LONGEST_BULK = 64 * 1024;
const LONGEST_ARRAY = 64;
const encoder = new TextEncoder();
const decoder = new TextDecoder('latin1');
const LINE_END = encoder.encode('\r\n');

/** Writes commands one after the other into one buffer. Source: the Redis serialization protocol, version 2. */
export class RespWriter {
  readonly #buffer: Uint8Array;
  #start = 0;
  #end = 0;

  constructor(buffer: Uint8Array) {
    this.#buffer = buffer;
  }

  /** What has not been taken yet. */
  get waiting(): Uint8Array {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /** So many bytes of `waiting` are gone. */
  taken(bytes: number): void {
    this.#start += bytes;
    if (this.#start === this.#end) this.clear();
  }

  clear(): void {
    this.#start = this.#end = 0;
  }

  /** Appends a command; false, and nothing appended, where there is no room for it. */
  write(words: readonly (string | Uint8Array)[]): boolean {
    const encoded = words.map((word) => (typeof word === 'string' ? encoder.encode(word) : word));
    const heads = [encoder.encode(`*${words.length}\r\n`), ...encoded.map((word) => encoder.encode(`$${word.byteLength}\r\n`))];
    const size = [...heads, ...encoded].reduce((sum, part) => sum + part.byteLength, 2 * words.length);
    if (this.#buffer.byteLength - this.#end < size && this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    if (this.#buffer.byteLength - this.#end < size) return false;
    this.#append(heads[0]);
    encoded.forEach((word, at) => {
      this.#append(heads[at + 1]);
      this.#append(word);
      this.#append(LINE_END);
    });
    return true;
  }

  #append(bytes: Uint8Array | undefined): void {
    if (!bytes) return;
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.byteLength;
  }
}

/** Reads replies from one buffer, into which a socket's bytes are put wherever they are cut. */
export class RespReader {
  readonly #buffer: Uint8Array;
  #start = 0;
  #end = 0;
  /** While a reply is read. */
  #at = 0;

  constructor(buffer: Uint8Array) {
    this.#buffer = buffer;
  }

  /** Where to put the next bytes; then say how many they were. Throws RespViolation where a reply does not fit. */
  room(): { readonly offset: number; readonly length: number } {
    if (this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    if (this.#end === this.#buffer.byteLength) throw new RespViolation('a reply is longer than anything that was asked for');
    return { offset: this.#end, length: this.#buffer.byteLength - this.#end };
  }

  put(bytes: number): void {
    this.#end += bytes;
  }

  clear(): void {
    this.#start = this.#end = 0;
  }

  /** The next reply; undefined while it is not whole. Throws RespViolation. */
  next(): RespReply | undefined {
    this.#at = this.#start;
    const reply = this.#read(1);
    if (reply) this.#start = this.#at;
    return reply;
  }

  #read(depth: number): RespReply | undefined {
    const line = this.#line();
    if (line === undefined) return undefined;
    const rest = line.slice(1);
    switch (line[0]) {
      case '+':
        return { type: 'Simple', text: rest };
      case '-':
        return { type: 'Error', text: rest };
      case ':':
        return { type: 'Integer', value: count(rest, Number.MAX_SAFE_INTEGER) };
      case '$':
        return rest === '-1' ? { type: 'Nil' } : this.#bulk(count(rest, LONGEST_BULK));
      case '*':
        if (depth === 0) throw new RespViolation('nobody asked for arrays of arrays');
        return rest === '-1' ? { type: 'Nil' } : this.#array(count(rest, LONGEST_ARRAY), depth);
      default:
        throw new RespViolation('this is no reply of Redis');
    }
  }

  #array(length: number, depth: number): RespReply | undefined {
    const items: RespReply[] = [];
    while (items.length < length) {
      const item = this.#read(depth - 1);
      if (!item) return undefined;
      items.push(item);
    }
    return { type: 'Array', items };
  }

  #bulk(length: number): RespReply | undefined {
    const end = this.#at + length;
    if (end + 2 > this.#end) return undefined;
    if (this.#buffer[end] !== CR || this.#buffer[end + 1] !== LF) throw new RespViolation('a bulk string does not end where it should');
    const bytes = this.#buffer.subarray(this.#at, end);
    this.#at = end + 2;
    return { type: 'Bulk', bytes };
  }

  #line(): string | undefined {
    const end = this.#buffer.subarray(0, this.#end).indexOf(CR, this.#at);
    if (end < 0 || end + 1 >= this.#end) {
      if (this.#end - this.#at > LONGEST_LINE) throw new RespViolation('a line does not end');
      return undefined;
    }
    if (this.#buffer[end + 1] !== LF || end === this.#at) throw new RespViolation('a line does not end as it should');
    const line = decoder.decode(this.#buffer.subarray(this.#at, end));
    this.#at = end + 2;
    return line;
  }
}

function count(text: string, most: number): number {
  if (!/^\d{1,16}$/.test(text) || Number(text) > most) throw new RespViolation('a length is none, or larger than what was asked for');
  return Number(text);
}
