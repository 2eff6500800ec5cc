import { mkdir, rm } from 'node:fs/promises';
import { type SnapshotBase } from '@corral/contracts';
import { PIECE_BYTES } from '@corral/memory';
import { type Logger } from 'pino';
import { basesToEvict } from './base-eviction.ts';
import { BaseFill, type PackBytes } from './base-fill.ts';
import { type BaseMemory, type BaseMemoryKind, baseMemoryKinds, NoRoom } from './base-memory.ts';

/** What a base is made of. */
export interface BaseSource {
  /** Of the pack that holds its pages. */
  readonly sha256: string;
  /** How many pages it has, those included that are zero. */
  readonly pages: number;
  /** The pack. Throws SnapshotError or ObjectStoreFailure. */
  open(): Promise<PackBytes & { close(): Promise<void> }>;
}

/** A base for one machine, until it is released. */
export interface HeldBase {
  /** What its VM process is told. */
  readonly base: SnapshotBase;
  /** The machine has ended. */
  release(): void;
}

export interface BaseImagesOptions {
  /** For hosts whose bases are files. */
  readonly directory: string;
  readonly maxBytes: number;
  readonly log: Logger;
  readonly now: () => number;
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
}

interface Base {
  readonly memory: BaseMemory;
  users: number;
  usedAtMs: number;
}

/**
 * The RAM that snapshots begin with, one for all machines of this node that come from it: named by content, immutable, counted.
 * What nobody uses goes when there is too much of it. It dies with the node agent, except where a machine has mapped it.
 */
export class BaseImages {
  readonly #options: BaseImagesOptions;
  readonly #kinds: readonly BaseMemoryKind[];
  readonly #bases = new Map<string, Base>();
  readonly #filling = new Map<string, Promise<Base | undefined>>();

  constructor(options: BaseImagesOptions) {
    this.#options = options;
    this.#kinds = options.kinds ?? baseMemoryKinds(options.directory);
  }

  /** Removes what an earlier node agent left. */
  async open(): Promise<void> {
    const { directory } = this.#options;
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { recursive: true, mode: 0o700 });
  }

  /** Makes a base before anybody asks for it. Throws SnapshotError where its pack is damaged, or what opening it throws. */
  async prepare(source: BaseSource): Promise<void> {
    await this.#ensure(source);
  }

  /** The base for one more machine; undefined where this host has no room for it, and the machine has to be copied. Throws likewise. */
  async hold(source: BaseSource): Promise<HeldBase | undefined> {
    const base = await this.#ensure(source);
    if (!base) return undefined;
    base.users += 1;
    let isHeld = true;
    return {
      base: { sha256: source.sha256, ram: base.memory.ram },
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        base.users -= 1;
        base.usedAtMs = this.#options.now();
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
    };
  }

  close(): void {
    for (const { memory } of this.#bases.values()) memory.close();
    this.#bases.clear();
  }

  async #ensure(source: BaseSource): Promise<Base | undefined> {
    const name = nameOf(source);
    for (;;) {
      const base = this.#bases.get(name);
      if (base) {
        base.usedAtMs = this.#options.now();
        return base;
      }
      // What was made for others may have gone before it was our turn.
      if (!(await (this.#filling.get(name) ?? this.#make(name, source)))) return undefined;
    }
  }

  /** Once, however many ask for it at the same time. */
  #make(name: string, source: BaseSource): Promise<Base | undefined> {
    const making = this.#fill(name, source).finally(() => this.#filling.delete(name));
    this.#filling.set(name, making);
    return making;
  }

  async #fill(name: string, source: BaseSource): Promise<Base | undefined> {
    const { now, log } = this.#options;
    for (const kind of this.#kinds) {
      try {
        const begun = now();
        const base: Base = { memory: await filled(kind, name, source), users: 0, usedAtMs: now() };
        this.#bases.set(name, base);
        log.info({ base: source.sha256, type: base.memory.ram.type, storedBytes: base.memory.storedBytes, milliseconds: now() - begun }, 'Holding a base');
        this.#evict(name);
        return base;
      } catch (error) {
        if (!(error instanceof NoRoom)) throw error;
        log.warn({ err: error, base: source.sha256 }, 'A base cannot be held like this');
      }
    }
    return undefined;
  }

  #evict(except?: string): void {
    const bases = [...this.#bases].map(([name, { memory, users, usedAtMs }]) => ({
      name, usedAtMs, storedBytes: memory.storedBytes, users: name === except ? 1 : users,
    }));
    for (const name of basesToEvict(bases, this.#options.maxBytes)) {
      this.#bases.get(name)?.memory.close();
      this.#bases.delete(name);
      this.#options.log.info({ base: name }, 'Nobody uses the base, and there is too much of it');
    }
  }
}

/** The same pages in a machine of another size are another base. */
const nameOf = ({ sha256, pages }: BaseSource): string => `${sha256}-${pages}`;

async function filled(kind: BaseMemoryKind, name: string, { pages, open }: BaseSource): Promise<BaseMemory> {
  const memory = kind(name, pages * PIECE_BYTES);
  try {
    const bytes = await open();
    try {
      await new BaseFill(bytes, memory, pages).whole;
      return memory;
    } finally {
      await bytes.close();
    }
  } catch (error) {
    memory.close();
    throw error;
  }
}
