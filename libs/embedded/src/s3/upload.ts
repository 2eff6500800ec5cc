import { createHash, randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Bucket, ObjectRecord, WriteConditions } from './bucket.ts';
import { CHECKSUM_ALGORITHMS, compositeChecksums } from './checksum.ts';
import { S3Fault } from './fault.ts';
import { readIfThere, writeAtomically } from './files.ts';
import { receiveBody } from './intake.ts';

const MIN_PART_BYTES = 5 * 1024 * 1024;
const MAX_PARTS = 10_000;

const UploadRecord = z.object({ key: z.string(), headers: z.record(z.string(), z.string()) });
const PartRecord = z.object({
  number: z.number().int(),
  sizeBytes: z.number().int(),
  md5: z.string(),
  checksums: z.partialRecord(z.enum(CHECKSUM_ALGORITHMS), z.string()),
});
export type PartRecord = z.output<typeof PartRecord>;

/** A multipart upload under way, in a folder of its own until it is completed or aborted. */
export class Upload {
  readonly id: string;
  readonly key: string;
  readonly #bucket: Bucket;
  readonly #headers: Readonly<Record<string, string>>;

  private constructor(bucket: Bucket, id: string, { key, headers }: z.output<typeof UploadRecord>) {
    this.#bucket = bucket;
    this.id = id;
    this.key = key;
    this.#headers = headers;
  }

  static async create(bucket: Bucket, key: string, headers: Record<string, string>): Promise<Upload> {
    const upload = new Upload(bucket, randomUUID(), { key, headers });
    await mkdir(upload.#folder, { mode: 0o700 });
    await writeAtomically(join(upload.#folder, 'upload.json'), JSON.stringify({ key, headers }), bucket.durability);
    return upload;
  }

  static async find(bucket: Bucket, key: string, id: string): Promise<Upload | undefined> {
    if (!/^[0-9a-f-]{36}$/.test(id)) return undefined;
    const text = await readIfThere(join(bucket.folder, 'uploads', id, 'upload.json'));
    if (text === undefined) return undefined;
    const upload = new Upload(bucket, id, UploadRecord.parse(JSON.parse(text)));
    return upload.key === key ? upload : undefined;
  }

  static async list(bucket: Bucket): Promise<{ readonly id: string; readonly key: string }[]> {
    const uploads: { id: string; key: string }[] = [];
    for (const id of await readdir(join(bucket.folder, 'uploads'))) {
      const text = await readIfThere(join(bucket.folder, 'uploads', id, 'upload.json'));
      if (text !== undefined) uploads.push({ id, key: UploadRecord.parse(JSON.parse(text)).key });
    }
    return uploads;
  }

  get #folder(): string {
    return join(this.#bucket.folder, 'uploads', this.id);
  }

  async putPart(number: number, request: IncomingMessage, payloadHash: string): Promise<PartRecord> {
    if (!Number.isInteger(number) || number < 1 || number > MAX_PARTS)
      throw new S3Fault('InvalidArgument', 'partNumber must be from 1 to 10000');
    const incoming = join(this.#folder, `incoming-${randomUUID()}`);
    const { md5, sizeBytes, checksums } = await receiveBody(request, payloadHash, incoming, this.#bucket.durability);
    const part: PartRecord = { number, sizeBytes, md5: md5.toString('hex'), checksums };
    await rename(incoming, this.#dataFile(number));
    await writeAtomically(join(this.#folder, `part-${number}.json`), JSON.stringify(part), this.#bucket.durability);
    return part;
  }

  async parts(): Promise<PartRecord[]> {
    const parts: PartRecord[] = [];
    for (const name of await readdir(this.#folder)) {
      if (!/^part-\d+\.json$/.test(name)) continue;
      const text = await readIfThere(join(this.#folder, name));
      if (text !== undefined) parts.push(PartRecord.parse(JSON.parse(text)));
    }
    return parts.sort((a, b) => a.number - b.number);
  }

  /** Turns the named parts into the object. Throws InvalidPart and its kin before anything has moved. */
  async complete(
    wanted: readonly { readonly number: number; readonly etag: string }[],
    conditions: WriteConditions,
  ): Promise<ObjectRecord> {
    const parts = await this.#choose(wanted);
    const extents: { file: string; sizeBytes: number }[] = [];
    for (const { number, sizeBytes } of parts) {
      extents.push({ file: await this.#bucket.moveIn(this.#dataFile(number)), sizeBytes });
    }
    const md5 = createHash('md5');
    for (const part of parts) md5.update(part.md5, 'hex');
    const record: ObjectRecord = {
      key: this.key,
      extents,
      sizeBytes: parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      etag: `"${md5.digest('hex')}-${parts.length}"`,
      modifiedAt: new Date().toISOString(),
      headers: this.#headers,
      checksums: compositeChecksums(parts.map(({ checksums }) => checksums)),
      uploadId: this.id,
    };
    await this.#bucket.commit(record, conditions);
    await this.abort();
    return record;
  }

  async abort(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #choose(wanted: readonly { readonly number: number; readonly etag: string }[]): Promise<PartRecord[]> {
    if (wanted.length === 0) throw new S3Fault('MalformedXML', 'No part is named');
    const there = new Map((await this.parts()).map((part) => [part.number, part]));
    const chosen = wanted.map(({ number, etag }) => {
      const part = there.get(number);
      if (!part || part.md5 !== etag.replaceAll('"', ''))
        throw new S3Fault('InvalidPart', `Part ${number} is not there`);
      return part;
    });
    chosen.forEach((part, index) => {
      const before = chosen[index - 1];
      if (before && before.number >= part.number) throw new S3Fault('InvalidPartOrder');
      if (index < chosen.length - 1 && part.sizeBytes < MIN_PART_BYTES) throw new S3Fault('EntityTooSmall');
    });
    return chosen;
  }

  #dataFile(number: number): string {
    return join(this.#folder, `part-${number}`);
  }
}
