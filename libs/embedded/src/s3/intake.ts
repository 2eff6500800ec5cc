import { createWriteStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { PassThrough, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Digester, verifyChecksums, type Checksums } from './checksum.ts';
import { ChunkedDecoder } from './chunked.ts';
import { S3Fault } from './fault.ts';
import type { Durability } from './files.ts';

const MAX_TEXT_BYTES = 4 * 1024 * 1024;

export interface Intake {
  readonly sizeBytes: number;
  readonly md5: Buffer;
  readonly checksums: Checksums;
}

/** Streams a body into a file and checks everything the client said of it. On any failure the file is gone. */
export async function receiveBody(
  request: IncomingMessage,
  payloadHash: string,
  path: string,
  durability: Durability,
): Promise<Intake> {
  const decoder = decoderOf(payloadHash);
  const digester = new Digester();
  const tap = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      digester.update(chunk);
      done(null, chunk);
    },
  });
  try {
    await pipeline(request, decoder, tap, createWriteStream(path, { mode: 0o600 }));
    const header = (name: string): string | undefined => [request.headers[name]].flat()[0];
    const trailers = decoder instanceof ChunkedDecoder ? decoder.trailers : undefined;
    const expectedBytes = header('x-amz-decoded-content-length') ?? (trailers ? undefined : header('content-length'));
    if (expectedBytes !== undefined && Number(expectedBytes) !== digester.sizeBytes)
      throw new S3Fault('IncompleteBody');
    const digest = digester.digest();
    const checksums = verifyChecksums((name) => header(name) ?? trailers?.get(name), payloadHash, digest);
    if (durability === 'Full') await syncFile(path);
    return { sizeBytes: digester.sizeBytes, md5: digest.md5, checksums };
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

function decoderOf(payloadHash: string): ChunkedDecoder | PassThrough {
  if (!payloadHash.startsWith('STREAMING-')) return new PassThrough();
  if (payloadHash === 'STREAMING-UNSIGNED-PAYLOAD-TRAILER') return new ChunkedDecoder();
  // Accepting these without checking each chunk's signature would promise more than is done.
  throw new S3Fault('NotImplemented', `Payloads of type ${payloadHash} are not supported`);
}

/** A small XML body. */
export async function receiveText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_TEXT_BYTES) throw new S3Fault('MalformedXML', 'The body is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.datasync();
  } finally {
    await handle.close();
  }
}
