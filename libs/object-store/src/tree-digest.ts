import { createHash, type Hash } from 'node:crypto';

/**
 * SHA-256 of a stream, and what S3 says of the same bytes uploaded in parts of `partBytes`: the SHA-256 over the parts'
 * SHA-256s. Source: Amazon S3 User Guide, "Checking object integrity", composite checksums.
 */
export class TreeDigest {
  readonly #partBytes: number;
  readonly #whole = createHash('sha256');
  readonly #composite = createHash('sha256');
  #part: Hash = createHash('sha256');
  #partFill = 0;
  #parts = 0;
  sizeBytes = 0;

  constructor(partBytes: number) {
    this.#partBytes = partBytes;
  }

  update(chunk: Uint8Array): void {
    this.#whole.update(chunk);
    this.sizeBytes += chunk.length;
    for (let offset = 0; offset < chunk.length;) {
      const piece = chunk.subarray(offset, offset + this.#partBytes - this.#partFill);
      this.#part.update(piece);
      this.#partFill += piece.length;
      offset += piece.length;
      if (this.#partFill === this.#partBytes) this.#endPart();
    }
  }

  #endPart(): void {
    this.#composite.update(this.#part.digest());
    this.#part = createHash('sha256');
    this.#partFill = 0;
    this.#parts += 1;
  }

  /** Hex of the whole, and base64 as S3 writes checksums. To be called once. */
  digest(): { readonly sha256: string; readonly checksum: string; readonly compositeChecksum: string } {
    if (this.#partFill > 0) this.#endPart();
    const whole = this.#whole.digest();
    return {
      sha256: whole.toString('hex'),
      checksum: whole.toString('base64'),
      compositeChecksum: `${this.#composite.digest('base64')}-${this.#parts}`,
    };
  }
}
