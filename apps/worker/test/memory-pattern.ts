import { createHash } from 'node:crypto';

/** What a guest's memory holds, as far as it was filled: digests by file. Never changed; what comes after is another one. */
export type MemoryContent = ReadonlyMap<number, string>;

type Exec = (command: string) => Promise<{ readonly stdout: string; readonly stderr: string; readonly exitCode: number }>;

const FOLDER = '/tmp/pattern';
/** Bytes that every guest has, and that pack to half their size, as what guests hold does. */
const SEED = '/bin/busybox';
const SEED_BYTES = 300_000;
const SEED_PIECE_BYTES = 60_000;
/** A guest under a tight budget on a busy host is slow, and a command has a deadline. */
const FILES_AT_ONCE = 10;

/**
 * Fills a guest's memory with files whose bytes this side knows, and finds out whether they still are what they were. Each is some 300 KiB, and
 * begins with a line of its own.
 */
export class MemoryPattern {
  readonly #exec: Exec;
  #seed: Promise<Buffer> | undefined;
  #generation = 0;

  constructor(exec: Exec) {
    this.#exec = exec;
  }

  async begin(): Promise<MemoryContent> {
    await this.#run(`rm -rf ${FOLDER} && mkdir ${FOLDER}`);
    return new Map();
  }

  /** Writes these files anew. */
  async write(before: MemoryContent, files: readonly number[]): Promise<MemoryContent> {
    this.#generation += 1;
    const seed = await (this.#seed ??= this.#readSeed());
    const content = new Map(before);
    const line = (file: number): string => `file ${file} of ${this.#generation}`;
    for (let at = 0; at < files.length; at += FILES_AT_ONCE) {
      const some = files.slice(at, at + FILES_AT_ONCE);
      await this.#run(`cd ${FOLDER} && ${some.map((file) => `(echo ${line(file)}; dd if=${SEED} bs=${SEED_BYTES} count=1 2> /dev/null) > ${file}`).join(' && ')}`);
      for (const file of some) content.set(file, createHash('md5').update(`${line(file)}\n`).update(seed).digest('hex'));
    }
    return content;
  }

  /** The files that are not what they were written as; also those that are gone. */
  async wrong(content: MemoryContent): Promise<readonly number[]> {
    const found = new Map<number, string>();
    const files = [...content.keys()];
    for (let at = 0; at < files.length; at += FILES_AT_ONCE) {
      const said = await this.#run(`cd ${FOLDER} && md5sum ${files.slice(at, at + FILES_AT_ONCE).join(' ')}; true`);
      for (const [, digest = '', file] of said.matchAll(/^([0-9a-f]{32})\s+(\d+)$/gm)) found.set(Number(file), digest);
    }
    return files.filter((file) => found.get(file) !== content.get(file));
  }

  async #readSeed(): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let piece = 0; piece * SEED_PIECE_BYTES < SEED_BYTES; piece += 1) {
      pieces.push(Buffer.from(await this.#run(`dd if=${SEED} bs=${SEED_PIECE_BYTES} skip=${piece} count=1 2> /dev/null | base64`), 'base64'));
    }
    return Buffer.concat(pieces).subarray(0, SEED_BYTES);
  }

  async #run(command: string): Promise<string> {
    const { stdout, stderr, exitCode } = await this.#exec(command);
    if (exitCode !== 0) throw new Error(`the guest could not: ${command.slice(0, 100)}: ${stderr}`);
    return stdout;
  }
}
