import { Transform, type TransformCallback } from 'node:stream';
import { S3Fault } from './fault.ts';

const MAX_LINE_BYTES = 8192;
const MAX_TRAILERS = 16;

/**
 * Takes the aws-chunked framing off a body and keeps its trailers. Fails with IncompleteBody when the last chunk is
 * missing, so that a cut upload is never stored as a shorter object.
 * Source: Amazon S3 API Reference, "Signature calculations including trailing headers".
 */
export class ChunkedDecoder extends Transform {
  readonly trailers = new Map<string, string>();
  #pending: Buffer = Buffer.alloc(0);
  #state: 'Size' | 'Data' | 'DataEnd' | 'Trailers' | 'End' = 'Size';
  #remaining = 0;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#pending = this.#pending.length > 0 ? Buffer.concat([this.#pending, chunk]) : chunk;
    try {
      while (this.#advance());
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  override _flush(done: TransformCallback): void {
    // Some clients leave the empty line after the trailers out.
    const complete = this.#state === 'End' || (this.#state === 'Trailers' && this.#pending.length === 0);
    done(complete ? null : new S3Fault('IncompleteBody', 'The body ended inside of a chunk'));
  }

  /** One step; false when more bytes are needed. */
  #advance(): boolean {
    if (this.#state === 'End') return false;
    if (this.#state === 'Data') {
      const data = this.#pending.subarray(0, this.#remaining);
      if (data.length === 0) return false;
      this.push(data);
      this.#pending = this.#pending.subarray(data.length);
      this.#remaining -= data.length;
      if (this.#remaining === 0) this.#state = 'DataEnd';
      return true;
    }
    const line = this.#takeLine();
    if (line === undefined) return false;
    if (this.#state === 'Size') this.#beginChunk(line);
    else if (this.#state === 'DataEnd') this.#state = 'Size';
    else this.#takeTrailer(line);
    return true;
  }

  #beginChunk(line: string): void {
    const [size = ''] = line.split(';');
    if (!/^[0-9a-fA-F]{1,12}$/.test(size)) throw new S3Fault('IncompleteBody', 'A chunk has no size');
    this.#remaining = Number.parseInt(size, 16);
    this.#state = this.#remaining === 0 ? 'Trailers' : 'Data';
  }

  #takeTrailer(line: string): void {
    if (line === '') {
      this.#state = 'End';
      return;
    }
    const colon = line.indexOf(':');
    if (colon < 1 || this.trailers.size >= MAX_TRAILERS)
      throw new S3Fault('InvalidArgument', 'The trailers are malformed');
    this.trailers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }

  #takeLine(): string | undefined {
    const end = this.#pending.indexOf('\r\n');
    if (end < 0 && this.#pending.length > MAX_LINE_BYTES)
      throw new S3Fault('IncompleteBody', 'A chunk’s line is too long');
    if (end < 0) return undefined;
    const line = this.#pending.toString('latin1', 0, end);
    this.#pending = this.#pending.subarray(end + 2);
    return line;
  }
}
