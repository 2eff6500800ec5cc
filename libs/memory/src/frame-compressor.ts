import { constants, createZstdCompress, type ZstdCompress } from 'node:zlib';

const LEVEL = 1;

/**
 * zstd frames, one after the other, by one compressor whose working memory is used again for each: a compressor made
 * per frame leaves malloc with holes that are never given back. The work is done in a thread of libuv.
 */
export class FrameCompressor {
  readonly #stream: ZstdCompress;
  #chunks: Buffer[] = [];
  #failure: Error | undefined;

  /** `frameBytes`: the most that is compressed at once. */
  constructor(frameBytes: number) {
    this.#stream = createZstdCompress({
      // One trip through the thread a frame, also where it does not become smaller.
      chunkSize: frameBytes + 4096,
      params: {
        [constants.ZSTD_c_compressionLevel]: LEVEL,
        // No frame is longer: the compressor need not remember more.
        [constants.ZSTD_c_windowLog]: Math.ceil(Math.log2(frameBytes)),
        // A flipped bit is found even where nobody looked at the file's digest.
        [constants.ZSTD_c_checksumFlag]: 1,
      },
    });
    this.#stream.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
    this.#stream.on('error', (error) => (this.#failure = error));
  }

  /** One whole frame. One at a time; the bytes must stay as they are until it resolves. */
  async compress(bytes: Uint8Array): Promise<Buffer> {
    await new Promise<void>((resolve, reject) => {
      this.#stream.once('error', reject);
      this.#stream.write(bytes);
      // Ends the frame, and with it nothing else: the next write begins another. Source: ZSTD_compressStream2, ZSTD_e_end.
      this.#stream.flush(constants.ZSTD_e_end, () => {
        this.#stream.removeListener('error', reject);
        if (this.#failure) reject(this.#failure);
        else resolve();
      });
    });
    const chunks = this.#chunks;
    this.#chunks = [];
    const [only] = chunks;
    return chunks.length === 1 && only ? only : Buffer.concat(chunks);
  }

  close(): void {
    this.#stream.destroy();
  }
}
