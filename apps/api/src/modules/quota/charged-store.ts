import { Inject, Injectable } from '@nestjs/common';
import { bodyOf, sameJson, type Change, type Store, type StoredPage, type StoreQuery, type Write } from '@corral/api-machinery';
import { MEASURED_RESOURCES, Problem, qualifiedResource, resourceQuotas, type KindDefinition, type KubeObject, type ResourceQuota, type VirtualMachine } from '@corral/contracts';
import { charge, useOf, type Step } from '@corral/quota';
import { setTimeout as sleep } from 'node:timers/promises';
import { CachedStore } from '../../platform/database/cached-store.ts';
import { requireFit } from '../../platform/database/write-batches.ts';
import { recount } from './recount.ts';
import { LimitRangeIndex, QuotaIndex } from './quota-index.ts';

const QUOTAS: KindDefinition = resourceQuotas;
/** Against other API processes; within this one a namespace's charges stand in line. */
const MAX_ATTEMPTS = 50;
const MAX_RETRY_DELAY_MS = 20;
/** Charges that are written together: one round trip for all who wait. */
const MAX_BATCH = 64;

/** Writes that are one for their caller, with what they do to quotas. */
interface Entry {
  readonly writes: readonly Write[];
  readonly steps: readonly Step[];
  readonly namespaces: readonly string[];
  readonly result: PromiseWithResolvers<readonly KubeObject[]>;
}

/**
 * The Store with quotas: a write that changes what its namespace uses is one transaction with the new figures, so that a
 * charge is neither lost nor doubled whatever crashes. What would exceed a quota is refused with 403. Where no quota is,
 * it is the bare Store.
 */
@Injectable()
export class ChargedStore implements Store {
  readonly #waiting = new Map<string, Entry[]>();

  constructor(
    @Inject(CachedStore) private readonly store: CachedStore,
    @Inject(QuotaIndex) private readonly index: QuotaIndex,
    @Inject(LimitRangeIndex) private readonly ranges: LimitRangeIndex,
  ) {}

  get(kind: KindDefinition, namespace: string | undefined, name: string): Promise<KubeObject | undefined> {
    return this.store.get(kind, namespace, name);
  }

  /** As CachedStore's. */
  peek(kind: KindDefinition, namespace: string | undefined, name: string): KubeObject | undefined {
    return this.store.peek(kind, namespace, name);
  }

  list(kind: KindDefinition, query: StoreQuery): Promise<StoredPage> {
    return this.store.list(kind, query);
  }

  currentVersion(): Promise<number> {
    return this.store.currentVersion();
  }

  changesAfter(version: number, limit: number, resource?: string): Promise<readonly Change[]> {
    return this.store.changesAfter(version, limit, resource);
  }

  create(kind: KindDefinition, object: KubeObject): Promise<KubeObject> {
    return this.#writeOne({ type: 'Create', kind, object });
  }

  update(kind: KindDefinition, current: KubeObject, next: KubeObject): Promise<KubeObject> {
    return this.#writeOne({ type: 'Update', kind, current, next });
  }

  remove(kind: KindDefinition, current: KubeObject, final: KubeObject): Promise<KubeObject> {
    return this.#writeOne({ type: 'Remove', kind, current, final });
  }

  /** Refuses what a write would be refused for by a quota or for its size, and writes nothing. */
  async check(write: Write): Promise<void> {
    requireFit(write);
    const step = stepOf(write);
    const quotas = await this.index.refresh(namespaceOf(step));
    charge(quotas, step);
  }

  async transact(writes: readonly Write[]): Promise<readonly KubeObject[]> {
    const written = await this.#charged(writes);
    for (const [index, write] of writes.entries()) this.#learn(write, written[index]);
    return Promise.all(written.map((object, index) => (bringsLimitsIntoForce(writes[index]) ? this.#recounted(object as ResourceQuota) : object)));
  }

  async #writeOne(write: Write): Promise<KubeObject> {
    const [written] = await this.transact([write]);
    if (!written) throw new Error('a write was acknowledged without its object');
    return written;
  }

  /**
   * Counts once more after new limits came into force: what was written while they were counted first was not charged to
   * them, and everything since is.
   */
  async #recounted(written: ResourceQuota): Promise<KubeObject> {
    let current: ResourceQuota | undefined = written;
    for (let attempt = 1; current && attempt <= MAX_ATTEMPTS; attempt += 1) {
      const next = await recount(current, async (kind, namespace) => (await this.store.list(kind, { namespace })).objects);
      if (sameJson(next.status, current.status)) return current;
      try {
        current = (await this.store.update(QUOTAS, current, next)) as ResourceQuota;
        this.index.observe(current);
        return current;
      } catch (error) {
        if (!(error instanceof Problem) || (error.code !== 'object.conflict' && error.code !== 'object.not-found')) throw error;
        current = (await this.store.get(QUOTAS, written.metadata.namespace, written.metadata.name)) as ResourceQuota | undefined;
      }
    }
    return current ?? written;
  }

  async #charged(writes: readonly Write[]): Promise<readonly KubeObject[]> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#chargedOnce(writes);
      } catch (error) {
        if (!isUnaware(error) || attempt === MAX_ATTEMPTS) throw error;
        for (const namespace of new Set(writes.filter(isNamespaced).map((write) => namespaceOf(stepOf(write))))) await this.index.refresh(namespace);
      }
    }
  }

  async #chargedOnce(writes: readonly Write[]): Promise<readonly KubeObject[]> {
    const steps: Step[] = [];
    const aware: Write[] = [];
    for (const write of writes) {
      if (!isNamespaced(write) || !mayChangeUse(write)) {
        aware.push(write);
        continue;
      }
      const step = stepOf(write);
      const quotas = await this.index.of(namespaceOf(step));
      aware.push({ ...write, quotas: quotas.length });
      if (changesUse(quotas, step)) steps.push(step);
    }
    if (steps.length === 0) return this.store.transact(aware);
    const namespaces = [...new Set(steps.map(namespaceOf))];
    const entry: Entry = { writes: aware, steps, namespaces, result: Promise.withResolvers() };
    this.#enqueue(namespaces[0] ?? '', entry);
    return entry.result.promise;
  }

  /** A rule that this process wrote is in force for its next write. */
  #learn(write: Write, written: KubeObject | undefined): void {
    const resource = qualifiedResource(write.kind);
    for (const rules of [this.index, this.ranges]) {
      if (!written || rules.resource !== resource) continue;
      if (write.type === 'Remove') rules.forget(written);
      else rules.observe(written);
    }
  }

  #enqueue(namespace: string, entry: Entry): void {
    const waiting = this.#waiting.get(namespace);
    if (waiting) {
      waiting.push(entry);
      return;
    }
    const line = [entry];
    this.#waiting.set(namespace, line);
    void this.#serve(namespace, line);
  }

  async #serve(namespace: string, line: Entry[]): Promise<void> {
    while (line.length > 0) {
      const batch = line.splice(0, MAX_BATCH);
      try {
        await this.#commit(batch);
      } catch (error) {
        for (const { result } of batch) result.reject(error);
      }
    }
    this.#waiting.delete(namespace);
  }

  /** Writes all that fits in one transaction with the quotas' new figures; settles every entry. */
  async #commit(batch: readonly Entry[]): Promise<void> {
    let pending = batch;
    let isFresh = false;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const quotas = await this.#quotasOf(pending, isFresh);
      const { accepted, refused, updates } = plan(pending, quotas);
      // Nobody is refused by figures that may be old.
      if (refused.length > 0 && !isFresh) {
        isFresh = true;
        continue;
      }
      for (const { entry, why } of refused) entry.result.reject(why);
      pending = accepted;
      if (pending.length === 0) return;
      try {
        const written = await this.store.transact([...pending.flatMap(({ writes }) => writes), ...updates]);
        this.#settle(pending, written);
        return;
      } catch (error) {
        if (isAboutFigures(error, pending)) {
          isFresh = true;
          await sleep(Math.random() * MAX_RETRY_DELAY_MS);
          continue;
        }
        const [only, ...more] = pending;
        if (more.length === 0) only?.result.reject(error);
        // One of them cannot be written, which is no reason for the others.
        else for (const entry of pending) await this.#commit([entry]);
        return;
      }
    }
    const why = new Problem('request.too-many', 'too many write to what a quota of this namespace counts; try again', { details: { retryAfterSeconds: 1 } });
    for (const { result } of pending) result.reject(why);
  }

  #settle(entries: readonly Entry[], written: readonly KubeObject[]): void {
    let at = 0;
    for (const { writes, result } of entries) {
      result.resolve(written.slice(at, at + writes.length));
      at += writes.length;
    }
    for (const quota of written.slice(at)) this.index.observe(quota);
  }

  async #quotasOf(entries: readonly Entry[], isFresh: boolean): Promise<readonly ResourceQuota[]> {
    const namespaces = new Set(entries.flatMap((entry) => entry.namespaces));
    const quotas = await Promise.all([...namespaces].map((namespace) => (isFresh ? this.index.refresh(namespace) : this.index.of(namespace))));
    return quotas.flat();
  }
}

interface Plan {
  readonly accepted: readonly Entry[];
  readonly refused: readonly { readonly entry: Entry; readonly why: unknown }[];
  readonly updates: readonly Write[];
}

/** Charges the entries one after the other; one that does not fit leaves the figures to the next. */
function plan(entries: readonly Entry[], quotas: readonly ResourceQuota[]): Plan {
  const accepted: Entry[] = [];
  const refused: { entry: Entry; why: unknown }[] = [];
  let figures = new Map(quotas.map((quota) => [quota.metadata.uid, quota]));
  for (const entry of entries) {
    const next = new Map(figures);
    try {
      // What a transaction gives back makes room for what it takes.
      for (const step of entry.steps.toSorted((a, b) => Number(a.after !== undefined) - Number(b.after !== undefined))) {
        for (const quota of charge(concernedBy(step, next), step)) next.set(quota.metadata.uid, quota);
      }
      figures = next;
      accepted.push(entry);
    } catch (why) {
      refused.push({ entry, why });
    }
  }
  const updates = quotas.flatMap((current): Write[] => {
    const next = figures.get(current.metadata.uid);
    return next === undefined || next === current ? [] : [{ type: 'Update', kind: QUOTAS, current, next }];
  });
  return { accepted, refused, updates };
}

/** The namespace's quotas without the one that is itself written. */
function concernedBy(step: Step, quotas: ReadonlyMap<string, ResourceQuota>): readonly ResourceQuota[] {
  const namespace = namespaceOf(step);
  const written = (step.after ?? step.before)?.object.metadata.uid;
  return [...quotas.values()].filter(({ metadata }) => metadata.namespace === namespace && metadata.uid !== written);
}

function stepOf(write: Write): Step {
  const { kind } = write;
  switch (write.type) {
    case 'Create':
      return { before: undefined, after: { kind, object: write.object }, isRefusable: true };
    case 'Update':
      // What a status says has happened; only what is wished can be refused.
      return { before: { kind, object: write.current }, after: { kind, object: write.next }, isRefusable: isWaking(write.current, write.next) || !sameJson(bodyOf(write.current), bodyOf(write.next)) };
    case 'Remove':
      return { before: { kind, object: write.current }, after: undefined, isRefusable: false };
  }
}

/** The one wish that a status tells: a machine that sleeps is to wake up. */
const isWaking = (current: KubeObject, next: KubeObject): boolean =>
  (current as VirtualMachine).status?.phase === 'Hibernated' && (next as VirtualMachine).status?.hibernation?.wakeRequestedAt !== undefined;

const isNamespaced = (write: Write): boolean => write.kind.scope === 'Namespaced';

const hardOf = (object: KubeObject): unknown => (object as ResourceQuota).status?.hard;

function bringsLimitsIntoForce(write: Write | undefined): boolean {
  if (!write || write.type === 'Remove' || qualifiedResource(write.kind) !== qualifiedResource(QUOTAS)) return false;
  return write.type === 'Create' || !sameJson(hardOf(write.current), hardOf(write.next));
}

/** Whether any quota could notice it. */
function mayChangeUse(write: Write): boolean {
  if (write.type !== 'Update') return true;
  const { before, after } = stepOf(write);
  return MEASURED_RESOURCES.some((name) => useOf(name, before) !== useOf(name, after));
}

/** The namespace has a quota that this process has not heard of, or no longer has one that it knows. */
const isUnaware = (error: unknown): boolean => error instanceof Problem && error.code === 'quotas.unknown';

const namespaceOf = ({ before, after }: Step): string => (after ?? before)?.object.metadata.namespace ?? '';

function changesUse(quotas: readonly ResourceQuota[], { before, after }: Step): boolean {
  return quotas.some(({ status }) => Object.keys(status?.hard ?? {}).some((name) => useOf(name, before) !== useOf(name, after)));
}

/** Somebody else changed the figures meanwhile, or removed the quota: the refusal names a quota that no caller wrote. */
function isAboutFigures(error: unknown, entries: readonly Entry[]): boolean {
  if (!(error instanceof Problem) || (error.code !== 'object.conflict' && error.code !== 'object.not-found')) return false;
  const { group, kind, name } = error.details ?? {};
  if (kind !== QUOTAS.plural || group !== QUOTAS.group) return false;
  const own = entries.flatMap(({ writes }) => writes).filter((write) => qualifiedResource(write.kind) === qualifiedResource(QUOTAS));
  return !own.some((write) => (write.type === 'Create' ? write.object : write.current).metadata.name === name);
}
