import { Logger } from '@nestjs/common';
import {
  namespaceNotFound, namespaceTerminating, objectConflict, objectExists, objectNotFound, type Change, type Write,
} from '@corral/api-machinery';
import { assertNever } from '@corral/base';
import { Problem, qualifiedResource, type KindDefinition, type KubeObject } from '@corral/contracts';
import pg from 'pg';
import { z } from 'zod';
import type { Sql } from './sql.ts';
import { storedText, withVersion } from './stored-object.ts';

/** Of an object as it is stored: many patches could make one as large as memory. Source: etcd, --max-request-bytes. */
const MAX_OBJECT_BYTES = 1.5 * 1024 * 1024;
/** A batch holds the lock of all writes, so it stays small: a few milliseconds. */
const MAX_WRITES = 200;
const MAX_TEXT_LENGTH = 4 * 1024 * 1024;
/** So long a renewal waits for others: a thousand nodes that renew their Leases are twenty commits a second, and not a hundred. */
export const GATHER_MS = 50;

const Row = z.object({
  outcome: z.enum(['Written', 'Possible', 'Exists', 'Missing', 'Stale', 'NamespaceMissing', 'NamespaceTerminating', 'QuotasUnknown']),
  version: z.string().nullable(),
  base: z.coerce.number(),
});
const Rows = z.array(Row).min(1);
type Outcome = z.output<typeof Row>['outcome'];

/** What a batch did, as soon as it is committed. */
export interface Commit {
  /** The version of everything before. */
  readonly base: number;
  /** In order of their versions. */
  readonly changes: readonly Change[];
}

interface Transaction {
  readonly writes: readonly Write[];
  /** The objects it writes, and the sets of quotas. */
  readonly keys: readonly string[];
  /** What must not change with it: namespaces it creates in, and sets of quotas it was charged to. */
  readonly namespaces: readonly string[];
  /** Each write's object, as it is stored. */
  readonly documents: readonly string[];
  readonly texts: readonly string[];
  /** When it must be on its way, on the monotonic clock. */
  readonly dueAt: number;
  readonly resolve: (written: readonly KubeObject[]) => void;
  readonly reject: (refusal: unknown) => void;
}

/**
 * Group commit: transactions that come while a batch is under way go together in the next one, as one statement, one lock
 * and one flush to disk. Each is carried out whole or not at all, with its own outcome, exactly as if they had come one
 * after the other: two that touch one object, or a namespace and what is created in it, never share a batch. What only says
 * that somebody is still there waits a little for others, and goes along with whatever is written before that.
 */
export class WriteBatches {
  readonly #logger = new Logger(WriteBatches.name);
  readonly #sql: Sql;
  readonly #onSettled: (commit: Commit | undefined) => void;
  #waiting: Transaction[] = [];
  #isSending = false;
  #gathering: NodeJS.Timeout | undefined;
  #gathered = 0;

  /** `onSettled` hears of every batch: what it did, or nothing when that is not known. */
  constructor(sql: Sql, onSettled: (commit: Commit | undefined) => void) {
    this.#sql = sql;
    this.#onSettled = onSettled;
  }

  get isSending(): boolean {
    return this.#isSending;
  }

  /** Transactions that waited for others to come along, since the start. */
  get gathered(): number {
    return this.#gathered;
  }

  /** The objects as they were stored, in order; rejects with the refusal of a write that cannot be done. */
  submit(writes: readonly Write[]): Promise<readonly KubeObject[]> {
    const keys = writes.map(keyOf);
    const repeated = writes.find((_, index) => keys.indexOf(keys[index] ?? '') < index);
    if (repeated) return Promise.reject(refusalOf(repeated, repeated.type === 'Create' ? 'Exists' : 'Stale'));
    const documents = writes.map((write) => storedText(resultOf(write)));
    const tooLarge = writes.find((write, index) => isTooLarge(write, documents[index] ?? ''));
    if (tooLarge) return Promise.reject(objectTooLarge(tooLarge));
    return new Promise((resolve, reject) => {
      const texts = writes.map((write, index) => textOf(write, documents[index] ?? ''));
      const mayWait = writes.every(isRenewal);
      if (mayWait) this.#gathered += 1;
      const dueAt = performance.now() + (mayWait ? GATHER_MS : 0);
      this.#waiting.push({ writes, keys: [...keys, ...writes.flatMap(ruledBy)], namespaces: writes.flatMap(reliedOnBy), documents, texts, dueAt, resolve, reject });
      if (!this.#isSending) this.#schedule();
    });
  }

  /** Sends now what is due, and with it all that waits; else when something is. */
  #schedule(): void {
    if (this.#isDue()) {
      clearTimeout(this.#gathering);
      this.#gathering = undefined;
      void this.#send();
    } else if (this.#waiting.length > 0) {
      // Whole milliseconds, so that a timer that fires a little early does not have to be set again and again.
      const waitMs = Math.ceil(Math.min(...this.#waiting.map(({ dueAt }) => dueAt)) - performance.now());
      this.#gathering ??= setTimeout(() => {
        this.#gathering = undefined;
        if (!this.#isSending) this.#schedule();
      }, waitMs);
    }
  }

  #isDue(): boolean {
    const now = performance.now();
    return this.#waiting.length >= MAX_WRITES || this.#waiting.some(({ dueAt }) => dueAt <= now);
  }

  async #send(): Promise<void> {
    this.#isSending = true;
    // What comes in the same turn of the event loop goes along.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#isDue()) {
      await this.#settle(this.#take());
    }
    this.#isSending = false;
    this.#schedule();
  }

  /**
   * What the server said of a statement may be about one transaction, and the others must not fail with it: they are sent
   * again in halves, so that one that is refused costs all others no more than a few round trips.
   */
  async #settle(batch: readonly Transaction[]): Promise<void> {
    const failure = await this.#carryOut(batch);
    if (failure === undefined) return;
    if (batch.length > 1 && !(failure instanceof Problem)) {
      this.#logger.debug(`A batch of writes was refused as a whole, and is sent in halves: ${failure instanceof Error ? failure.message : ''}`);
      const middle = batch.length >>> 1;
      await this.#settle(batch.slice(0, middle));
      await this.#settle(batch.slice(middle));
      return;
    }
    refuse(batch, failure);
    this.#onSettled(undefined);
  }

  /** The longest waiting, except those that touch what one before them touches. */
  #take(): readonly Transaction[] {
    const batch: Transaction[] = [];
    const later: Transaction[] = [];
    const written = new Set<string>();
    const reliedOn = new Set<string>();
    let [writes, length] = [0, 0];
    for (const transaction of this.#waiting) {
      const { keys, namespaces, texts } = transaction;
      const isFree = keys.every((key) => !written.has(key) && !reliedOn.has(key)) && namespaces.every((namespace) => !written.has(namespace));
      const size = texts.reduce((sum, text) => sum + text.length, 0);
      if (batch.length === 0 || (isFree && writes + transaction.writes.length <= MAX_WRITES && length + size <= MAX_TEXT_LENGTH)) {
        batch.push(transaction);
        writes += transaction.writes.length;
        length += size;
      } else {
        later.push(transaction);
      }
      // Also of those that wait, so that nobody overtakes them.
      for (const key of keys) written.add(key);
      for (const namespace of namespaces) reliedOn.add(namespace);
    }
    this.#waiting = later;
    return batch;
  }

  /** Answers why nothing is known to be written, if that is so. */
  async #carryOut(batch: readonly Transaction[]): Promise<unknown> {
    let place = -1;
    const texts = batch.flatMap(({ texts }, unit) => texts.map((text) => `{"place":${(place += 1)},"unit":${unit},${text}`));
    let rows: z.output<typeof Rows>;
    try {
      rows = Rows.parse(await this.#sql.query({ name: 'corral-write', text: STATEMENT, values: [`[${texts.join()}]`] }));
    } catch (error) {
      return error;
    }
    this.#conclude(batch, rows);
    return undefined;
  }

  #conclude(batch: readonly Transaction[], rows: z.output<typeof Rows>): void {
    const changes: Change[] = [];
    const written = new Map<string, Change>();
    let at = 0;
    const answers = batch.map((transaction) => {
      const outcomes = rows.slice(at, (at += transaction.writes.length));
      const refused = outcomes.findIndex(({ outcome }) => outcome !== 'Written' && outcome !== 'Possible');
      const refusing = transaction.writes[refused];
      if (refusing) return () => transaction.reject(refusalOf(refusing, outcomes[refused]?.outcome ?? 'Stale'));
      const objects = transaction.writes.map((write, index) => {
        const change = changeOf(write, transaction.documents[index] ?? '', outcomes[index]?.version ?? null);
        changes.push(change);
        written.set(keyOf(write), change);
        return change.object;
      });
      return () => transaction.resolve(objects);
    });
    // Whoever is told that a write is done can read it here.
    this.#onSettled({ base: rows[0]?.base ?? 0, changes });
    for (const answer of answers) answer();
    this.#refuseOvertaken(written);
  }

  /** Those that wait with a version that has just been replaced need not ask the database. */
  #refuseOvertaken(written: ReadonlyMap<string, Change>): void {
    this.#waiting = this.#waiting.filter(({ writes, reject }) => {
      for (const write of writes) {
        const change = written.get(keyOf(write));
        const outcome = change && outcomeAfter(change, write);
        if (!outcome) continue;
        reject(refusalOf(write, outcome));
        return false;
      }
      return true;
    });
  }
}

function refuse(batch: readonly Transaction[], failure: unknown): void {
  for (const { reject } of batch) reject(refusalByServer(failure));
}

const STATEMENT = 'SELECT outcome, version::text, base::text FROM corral_write($1::json)';

const isNamespaced = (kind: KindDefinition): boolean => kind.scope === 'Namespaced';
const resultOf = (write: Write): KubeObject => (write.type === 'Create' ? write.object : write.type === 'Update' ? write.next : write.final);
const currentOf = (write: Write): KubeObject | undefined => (write.type === 'Create' ? undefined : write.current);

/** Whether nobody waits for it closely. */
const isRenewal = (write: Write): boolean => write.type === 'Update' && (write.kind.isRenewal?.(write.next, write.current) ?? false);

function placeOf(write: Write) {
  const { metadata } = currentOf(write) ?? resultOf(write);
  return { resource: qualifiedResource(write.kind), namespace: isNamespaced(write.kind) ? (metadata.namespace ?? '') : '', name: metadata.name, uid: metadata.uid };
}

function keyOf(write: Write): string {
  const { resource, namespace, name } = placeOf(write);
  return `${resource}/${namespace}/${name}`;
}

const quotasOf = (namespace: string): string => `resourcequotas of ${namespace}`;

/** The set of quotas that a write changes: its writer's charges must not share a batch with it. */
function ruledBy(write: Write): string[] {
  const { resource, namespace } = placeOf(write);
  return resource === 'resourcequotas' && write.type !== 'Update' ? [quotasOf(namespace)] : [];
}

function reliedOnBy(write: Write): string[] {
  const { namespace } = placeOf(write);
  return [
    ...(write.type === 'Create' && isNamespaced(write.kind) ? [`namespaces//${namespace}`] : []),
    // One that creates or removes a quota is charged to the others.
    ...(write.quotas !== undefined && ruledBy(write).length === 0 ? [quotasOf(namespace)] : []),
  ];
}

/** A write as `corral_write` takes it, without place and unit. The object goes as its own text, serialized once. */
function textOf(write: Write, document: string): string {
  const { resource, namespace, name, uid } = placeOf(write);
  const current = currentOf(write);
  const { metadata } = resultOf(write);
  const head = JSON.stringify({
    resource,
    namespace,
    name,
    uid,
    expected: current?.metadata.resourceVersion,
    quotas: write.quotas,
    labels: metadata.labels,
    owners: metadata.ownerReferences,
    finalizers: metadata.finalizers,
    deleting: metadata.deletionTimestamp,
  });
  return `${head.slice(1, -1)},"${write.type === 'Remove' ? 'final' : 'object'}":${document}}`;
}

/** The object is read from what was stored: it is what every other process has, and nobody else holds parts of it. */
function changeOf(write: Write, document: string, version: string | null): Change {
  if (version === null) throw new Error('a write was acknowledged without a version');
  return {
    resourceVersion: Number(version),
    type: write.type === 'Create' ? 'ADDED' : write.type === 'Update' ? 'MODIFIED' : 'DELETED',
    resource: qualifiedResource(write.kind),
    object: withVersion(JSON.parse(document) as KubeObject, version),
    previous: currentOf(write),
  };
}

/** What becomes of a write that waited while another one changed its object; undefined when only the database can say. */
function outcomeAfter(change: Change, write: Write): Outcome | undefined {
  if (write.type === 'Create') return change.type === 'DELETED' ? undefined : 'Exists';
  if (change.type === 'DELETED' || change.object.metadata.uid !== write.current.metadata.uid) return 'Missing';
  return change.object.metadata.resourceVersion === write.current.metadata.resourceVersion ? undefined : 'Stale';
}

/** Refuses what would be refused for its size. */
export function requireFit(write: Write): void {
  if (isTooLarge(write, storedText(resultOf(write)))) throw objectTooLarge(write);
}

/** What is too large already, from before there was a limit, may still become smaller, and go. */
function isTooLarge(write: Write, document: string): boolean {
  if (write.type === 'Remove' || Buffer.byteLength(document) <= MAX_OBJECT_BYTES) return false;
  return write.type === 'Create' || document.length >= storedText(write.current).length;
}

function objectTooLarge(write: Write): Problem {
  const { kind } = write;
  const { name } = resultOf(write).metadata;
  return new Problem('request.too-large', `${qualifiedResource(kind)} "${name}" would be too large: an object may have at most ${MAX_OBJECT_BYTES} bytes`, { details: { name, group: kind.group, kind: kind.plural } });
}

/** What a trigger of the migrations refuses, by the code it is raised with. */
const NODE_FULL = 'CR001';
const refusalByServer = (error: unknown): unknown => (error instanceof pg.DatabaseError && error.code === NODE_FULL ? new Problem('node.full', error.message, { cause: error }) : error);

function refusalOf(write: Write, outcome: Outcome): Problem {
  const { kind } = write;
  const { name, namespace = '' } = (currentOf(write) ?? resultOf(write)).metadata;
  switch (outcome) {
    case 'Exists':
      return objectExists(kind, name);
    case 'NamespaceMissing':
      return namespaceNotFound(namespace);
    case 'NamespaceTerminating':
      return namespaceTerminating(kind, namespace, name);
    case 'Missing':
      return objectNotFound(kind, name);
    case 'Stale':
      return objectConflict(kind, name);
    case 'QuotasUnknown':
      return new Problem('quotas.unknown', `the quotas of namespace ${namespace} have just changed; try again`, { details: { retryAfterSeconds: 1 } });
    case 'Written':
    case 'Possible':
      throw new Error(`a write that is ${outcome} is no refusal`);
    default:
      return assertNever(outcome, 'outcome of a write');
  }
}
