import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SnapshotBase } from '@corral/contracts';
import { PIECE_BYTES } from '@corral/memory';
import { type Logger } from 'pino';
import { basesToEvict } from './base-eviction.ts';
import { BaseFill, type PackBytes } from './base-fill.ts';
import { type BaseMemory, type BaseMemoryKind, baseMemoryKinds, NoRoom } from './base-memory.ts';
import { BaseRequests } from './base-requests.ts';
import { touchedPages } from './touched-pages.ts';
import { type WorkingSet } from './working-set.ts';
import { SingleFlight } from '../machine/single-flight.ts';

/** A pack that is being read. */
export interface OpenedPack extends PackBytes {
  /** It comes from afar: machines had better begin before all of it is here. */
  readonly isRemote: boolean;
  /** Every byte was read, or none is read any more. */
  close(isWhole: boolean): Promise<void>;
}

/** What a base is made of. */
export interface BaseSource {
  /** Of the pack that holds its pages. */
  readonly sha256: string;
  /** Bases of one name and size are one. */
  readonly name: string;
  /** How many pages it has, those included that are zero. */
  readonly pages: number;
  /** The pack. Throws SnapshotError or ObjectStoreFailure. */
  open(): Promise<OpenedPack>;
  /** Frames that machines touch first, in that order; absent where nobody can know. */
  readonly workingSet?: Pick<WorkingSet, 'read' | 'write'>;
}

export interface HoldOptions {
  /** The machine can run before every page is there. */
  readonly mayBePartial?: boolean;
}

/** A base for one machine, until it is released. */
export interface HeldBase {
  /** What its VM process is told. */
  readonly base: SnapshotBase;
  /** The base cannot be made whole: the machine has to end. */
  onLost(tell: (error: unknown) => void): void;
  /** The machine has begun its work in this process: what it touches now is what others will touch first. */
  begins(pid: number): void;
  /** The machine has ended. */
  release(): void;
}

export interface BaseImagesOptions {
  /** For hosts whose bases are files, and for sockets. */
  readonly directory: string;
  readonly maxBytes: number;
  readonly log: Logger;
  readonly now: () => number;
  /** How long after its beginning a machine has touched what it touches first. Default 5 s. */
  readonly observeAfterMs?: number;
  /** How long bytes that cannot be read are asked for again before the base, and with it its machines, are given up. Default 30 s. */
  readonly patienceMs?: number;
  /** From the best; what fails falls back to the next. */
  readonly kinds?: readonly BaseMemoryKind[];
}

/** What there is now, for status and metrics. */
export interface BaseTotals {
  readonly bases: number;
  readonly storedBytes: number;
  readonly users: number;
  /** What they take, counted once for each of their users. */
  readonly mappedBytes: number;
  /** Since the agent began: frames somebody had to wait for, and bytes read from afar. */
  readonly askedFrames: number;
  readonly fetchedBytes: number;
}

interface Base {
  readonly memory: BaseMemory;
  readonly fill: BaseFill;
  /** Where machines ask for pages, while not all are there. */
  readonly requests: BaseRequests | undefined;
  /** Settles after the fill, when all that follows from it is done. */
  readonly whole: Promise<undefined>;
  readonly tellLost: Set<(error: unknown) => void>;
  isWhole: boolean;
  /** Somebody has seen, or is looking, what machines touch first. */
  isObserved: boolean;
  users: number;
  usedAtMs: number;
}

/** A machine that answers has been told who it is and, mostly, given something to do. */
const OBSERVE_AFTER_MS = 5_000;
/** sockaddr_un holds 108 bytes with the terminating zero; the name itself needs a few. Source: unix(7). */
const MAX_SOCKET_DIRECTORY_LENGTH = 90;

/**
 * The RAM that snapshots begin with, one for all machines of this node that come from it: named by content, immutable, counted.
 * What nobody uses goes when there is too much of it. It dies with the node agent, except where a machine has mapped it.
 */
export class BaseImages {
  readonly #options: BaseImagesOptions;
  readonly #kinds: readonly BaseMemoryKind[];
  readonly #bases = new Map<string, Base>();
  readonly #beginnings = new SingleFlight<Base | undefined>();
  /** The kind to try next, where the better ones had no room. */
  readonly #nextKind = new Map<string, number>();
  readonly #past = { askedFrames: 0, fetchedBytes: 0 };
  #socketDirectory: string;
  #sockets = 0;

  constructor(options: BaseImagesOptions) {
    this.#options = options;
    this.#kinds = options.kinds ?? baseMemoryKinds(options.directory);
    this.#socketDirectory = options.directory;
  }

  /** Removes what an earlier node agent left. */
  async open(): Promise<void> {
    const { directory } = this.#options;
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { recursive: true, mode: 0o700 });
    if (Buffer.byteLength(directory) > MAX_SOCKET_DIRECTORY_LENGTH) this.#socketDirectory = await mkdtemp(join(tmpdir(), 'corral-bases-'));
  }

  /** Whether a base is here, or on its way. */
  has(source: BaseSource): boolean {
    return this.#bases.has(nameOf(source));
  }

  /** Makes a base before anybody asks for it. Answers whether there is room for it here. Throws SnapshotError where its pack is damaged, or what opening it throws. */
  async prepare(source: BaseSource, { mayBePartial = false }: HoldOptions = {}): Promise<boolean> {
    return (await this.#ensure(source, mayBePartial)) !== undefined;
  }

  /** The base for one more machine; undefined where this host has no room for it, and the machine has to be copied. Throws likewise. */
  async hold(source: BaseSource, { mayBePartial = false }: HoldOptions = {}): Promise<HeldBase | undefined> {
    const base = await this.#ensure(source, mayBePartial);
    if (!base) return undefined;
    base.users += 1;
    const tells: ((error: unknown) => void)[] = [];
    let isHeld = true;
    return {
      base: { sha256: source.sha256, ram: base.memory.ram, ...(base.isWhole || !base.requests ? {} : { requestsPath: base.requests.path }) },
      begins: (pid) => this.#observe(source, base, pid),
      onLost: (tell) => {
        tells.push(tell);
        base.tellLost.add(tell);
      },
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        base.users -= 1;
        base.usedAtMs = this.#options.now();
        for (const tell of tells) base.tellLost.delete(tell);
        this.#evict();
      },
    };
  }

  get totals(): BaseTotals {
    const all = [...this.#bases.values()];
    const sum = (of: (base: Base) => number): number => all.reduce((total, base) => total + of(base), 0);
    return {
      bases: all.length,
      storedBytes: sum(({ memory }) => memory.storedBytes),
      users: sum(({ users }) => users),
      mappedBytes: sum(({ memory, users }) => memory.storedBytes * users),
      askedFrames: this.#past.askedFrames + sum(({ fill, isWhole }) => (isWhole ? 0 : fill.asked)),
      fetchedBytes: this.#past.fetchedBytes,
    };
  }

  close(): void {
    for (const { memory, requests } of this.#bases.values()) {
      requests?.close();
      memory.close();
    }
    this.#bases.clear();
    if (this.#socketDirectory !== this.#options.directory) void rm(this.#socketDirectory, { recursive: true, force: true });
  }

  async #ensure(source: BaseSource, mayBePartial: boolean): Promise<Base | undefined> {
    const name = nameOf(source);
    for (;;) {
      const base = this.#bases.get(name) ?? (await this.#beginnings.do(name, () => this.#begin(name, source, mayBePartial)));
      if (!base) return undefined;
      base.usedAtMs = this.#options.now();
      // Between being made and our turn it may have gone.
      if (this.#bases.get(name) === base && (base.isWhole || (mayBePartial && base.requests))) return base;
      try {
        await base.whole;
      } catch (error) {
        if (!(error instanceof NoRoom)) throw error;
      }
    }
  }

  /** Begins to fill a base in the best way that is left to try; undefined where there is none. */
  async #begin(name: string, source: BaseSource, mayBePartial: boolean): Promise<Base | undefined> {
    for (let at = this.#nextKind.get(name) ?? 0; ; at += 1) {
      const kind = this.#kinds[at];
      if (!kind) {
        // The next time there may be room again.
        this.#nextKind.delete(name);
        return undefined;
      }
      try {
        return await this.#beginAs(kind, name, source, mayBePartial);
      } catch (error) {
        if (!(error instanceof NoRoom)) throw error;
        this.#noRoom(name, source, error);
      }
    }
  }

  async #beginAs(kind: BaseMemoryKind, name: string, source: BaseSource, mayBePartial: boolean): Promise<Base> {
    const { now } = this.#options;
    const memory = kind(name, source.pages * PIECE_BYTES);
    let pack: OpenedPack | undefined;
    try {
      const [opened, first] = await Promise.all([source.open(), source.workingSet?.read().catch(() => []) ?? []]);
      pack = opened;
      const fill = new BaseFill(opened, memory, source.pages, { first, patienceMs: this.#options.patienceMs });
      const requests = mayBePartial && opened.isRemote && memory.ram.type === 'Sealed' ? await this.#listen(fill) : undefined;
      const whole = Promise.withResolvers<undefined>();
      // Nobody may be waiting.
      whole.promise.catch(() => undefined);
      const base: Base = { memory, fill, isObserved: first.length > 0, requests, whole: whole.promise, tellLost: new Set(), isWhole: false, users: 0, usedAtMs: now() };
      this.#bases.set(name, base);
      void this.#follow(name, source, base, opened).then(() => whole.resolve(undefined), whole.reject);
      return base;
    } catch (error) {
      memory.close();
      await pack?.close(false);
      throw error;
    }
  }

  /** What comes after the fill. */
  async #follow(name: string, { sha256 }: BaseSource, base: Base, pack: OpenedPack): Promise<void> {
    const { now, log } = this.#options;
    const begunMs = now();
    const { fill, memory } = base;
    try {
      await fill.whole;
      base.isWhole = true;
      this.#nextKind.delete(name);
      log.info({ base: sha256, type: memory.ram.type, storedBytes: memory.storedBytes, milliseconds: Math.round(now() - begunMs), askedFrames: fill.asked }, 'Holding a base');
      this.#evict(name);
    } catch (error) {
      this.#bases.delete(name);
      if (error instanceof NoRoom) this.#noRoom(name, { sha256 }, error);
      for (const tell of base.tellLost) tell(error);
      base.requests?.close();
      memory.close();
      throw error;
    } finally {
      this.#past.askedFrames += fill.asked;
      if (pack.isRemote) this.#past.fetchedBytes += fill.readBytes;
      await pack.close(base.isWhole).catch((error: unknown) => log.warn({ err: error, base: sha256 }, 'A pack could not be kept'));
    }
  }

  /** Once for a base of which nobody knows it yet, some time after a machine has begun. */
  #observe({ sha256, workingSet }: BaseSource, base: Base, pid: number): void {
    const { ram } = base.memory;
    if (base.isObserved || !workingSet || ram.type !== 'Sealed') return;
    base.isObserved = true;
    const timer = setTimeout(() => {
      touchedPages(pid, ram.inode)
        .then((pages) => workingSet.write(base.fill.framesOf(pages)))
        .catch((error: unknown) => this.#options.log.debug({ err: error, base: sha256 }, 'What a machine touches first could not be kept'));
    }, this.#options.observeAfterMs ?? OBSERVE_AFTER_MS);
    timer.unref();
  }

  async #listen(fill: BaseFill): Promise<BaseRequests> {
    return BaseRequests.listen(join(this.#socketDirectory, `${++this.#sockets}.sock`), fill);
  }

  #noRoom(name: string, { sha256 }: Pick<BaseSource, 'sha256'>, error: NoRoom): void {
    this.#nextKind.set(name, (this.#nextKind.get(name) ?? 0) + 1);
    this.#options.log.warn({ err: error, base: sha256 }, 'A base cannot be held like this');
  }

  #evict(except?: string): void {
    const bases = [...this.#bases].map(([name, { memory, users, usedAtMs, isWhole }]) => ({
      name, usedAtMs, storedBytes: memory.storedBytes, users: name === except || !isWhole ? 1 : users,
    }));
    for (const name of basesToEvict(bases, this.#options.maxBytes)) {
      const base = this.#bases.get(name);
      base?.requests?.close();
      base?.memory.close();
      this.#bases.delete(name);
      this.#options.log.info({ base: name }, 'Nobody uses the base, and there is too much of it');
    }
  }
}

/** The same pages in a machine of another size are another base. */
const nameOf = ({ name, pages }: BaseSource): string => `${name}-${pages}`;
