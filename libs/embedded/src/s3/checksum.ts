import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { S3Fault } from './fault.ts';

/** The additional checksums of S3 that this server computes. */
export const CHECKSUM_ALGORITHMS = ['CRC32', 'SHA256'] as const;
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];
/** Base64; `-<parts>` at the end when it is a checksum of parts' checksums. */
export type Checksums = Partial<Record<ChecksumAlgorithm, string>>;

export const checksumHeader = (algorithm: ChecksumAlgorithm): string => `x-amz-checksum-${algorithm.toLowerCase()}`;

/** Computes everything S3 may ask about a body while it passes. */
export class Digester {
  readonly #md5 = createHash('md5');
  readonly #sha256 = createHash('sha256');
  #crc32 = 0;
  sizeBytes = 0;

  update(chunk: Buffer): void {
    this.#md5.update(chunk);
    this.#sha256.update(chunk);
    this.#crc32 = crc32(chunk, this.#crc32);
    this.sizeBytes += chunk.length;
  }

  digest(): { readonly md5: Buffer; readonly sha256: Buffer; readonly crc32: Buffer } {
    return { md5: this.#md5.digest(), sha256: this.#sha256.digest(), crc32: crc32Bytes(this.#crc32) };
  }
}

const crc32Bytes = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};

/**
 * What the client said of the body, in headers or trailers, checked against what arrived; answers the checksums to keep.
 * Throws BadDigest, or NotImplemented for an algorithm that could not be checked.
 */
export function verifyChecksums(
  said: (name: string) => string | undefined,
  payloadHash: string,
  digest: ReturnType<Digester['digest']>,
): Checksums {
  for (const name of ['crc32c', 'sha1', 'crc64nvme']) {
    if (said(`x-amz-checksum-${name}`) !== undefined)
      throw new S3Fault('NotImplemented', `Checksums of type ${name} are not supported`);
  }
  if (/^[0-9a-f]{64}$/.test(payloadHash) && payloadHash !== digest.sha256.toString('hex'))
    throw new S3Fault('BadDigest');
  const md5 = said('content-md5');
  if (md5 !== undefined && md5 !== digest.md5.toString('base64')) throw new S3Fault('BadDigest');

  const kept: Checksums = {};
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const expected = said(checksumHeader(algorithm));
    if (expected === undefined) continue;
    const actual = (algorithm === 'CRC32' ? digest.crc32 : digest.sha256).toString('base64');
    if (expected !== actual) throw new S3Fault('BadDigest');
    kept[algorithm] = actual;
  }
  return kept;
}

/** The checksum of a multipart object: over its parts' checksums, where every part has one. */
export function compositeChecksums(parts: readonly Checksums[]): Checksums {
  const composed: Checksums = {};
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const each = parts.map((part) => part[algorithm]);
    if (!each.every((checksum) => checksum !== undefined)) continue;
    const bytes = Buffer.concat(each.map((checksum) => Buffer.from(checksum, 'base64')));
    const composite = algorithm === 'CRC32' ? crc32Bytes(crc32(bytes)) : createHash('sha256').update(bytes).digest();
    composed[algorithm] = `${composite.toString('base64')}-${parts.length}`;
  }
  return composed;
}
