import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { systemClock } from '@corral/base';
import type { Write } from '@corral/api-machinery';
import { KINDS, Problem, qualifiedResource, type KindDefinition, type KubeObject } from '@corral/contracts';
import { setTimeout as sleep } from 'node:timers/promises';
import { PostgresStore } from '../../platform/database/postgres-store.ts';
import { hasExpired, idempotencyKeys, KeySpec, keyWrite, storedName, type IdempotencyKey } from './idempotency-key.ts';

/** How long a repetition waits for the first of its kind. */
const WAIT_MS = 10_000;
const RETRY_AFTER_S = 1;

export interface KeyedRequest {
  readonly user: string;
  readonly key: string;
  readonly fingerprint: string;
}

/** What is written in the transaction of the object it is about. */
export type WrittenBeside = (kind: KindDefinition, object: KubeObject) => readonly Write[];

interface UnderWay {
  readonly fingerprint: string;
  readonly over: Promise<unknown>;
}

/**
 * `Idempotency-Key` on create: the same request again answers with the same object, however often, at once or later, in
 * whichever process, and whatever crashed between; for 24 hours.
 */
@Injectable()
export class Idempotency {
  readonly #underWay = new Map<string, UnderWay>();

  constructor(@Inject(PostgresStore) private readonly store: PostgresStore) {}

  /** What `create` made, or what an earlier request with this key has. Refuses another request with a key already used. */
  async once(request: KeyedRequest, create: (beside: WrittenBeside) => Promise<KubeObject>): Promise<{ readonly object: KubeObject; readonly isReplayed: boolean }> {
    const name = storedName(request.user, request.key);
    const giveUpAt = Date.now() + WAIT_MS;
    for (let other = this.#underWay.get(name); other; other = this.#underWay.get(name)) {
      if (other.fingerprint !== request.fingerprint) throw usedOtherwise();
      await waitFor(other.over, giveUpAt - Date.now());
    }
    const run = this.#run(name, request, create);
    this.#underWay.set(name, { fingerprint: request.fingerprint, over: run.catch(() => undefined) });
    return run.finally(() => this.#underWay.delete(name));
  }

  async #run(name: string, { fingerprint }: KeyedRequest, create: (beside: WrittenBeside) => Promise<KubeObject>): Promise<{ readonly object: KubeObject; readonly isReplayed: boolean }> {
    const known = await this.#find(name);
    const isOld = known !== undefined && hasExpired(known, systemClock.now());
    if (known && !isOld) return { object: await this.#replay(known, fingerprint), isReplayed: true };
    try {
      const birth = { uid: randomUUID(), now: systemClock.now() };
      return { object: await create((kind, object) => [keyWrite(name, fingerprint, kind, object, known, birth)]), isReplayed: false };
    } catch (error) {
      // Another process may have been faster with the same request; then its object is the answer, whatever it left for us.
      const winner = error instanceof Problem ? await this.#find(name) : undefined;
      if (winner && winner.metadata.resourceVersion !== known?.metadata.resourceVersion) return { object: await this.#replay(winner, fingerprint), isReplayed: true };
      throw error;
    }
  }

  async #find(name: string): Promise<IdempotencyKey | undefined> {
    const found = await this.store.get(idempotencyKeys, undefined, name);
    return found && { ...found, spec: KeySpec.parse(found.spec) };
  }

  /** The object as it is now. */
  async #replay({ spec }: IdempotencyKey, fingerprint: string): Promise<KubeObject> {
    if (spec?.fingerprint !== fingerprint) throw usedOtherwise();
    const kind = KINDS.find((candidate) => qualifiedResource(candidate) === spec.resource);
    const object = kind && (await this.store.get(kind, spec.namespace === '' ? undefined : spec.namespace, spec.name));
    if (object?.metadata.uid !== spec.uid) throw new Problem('object.not-found', `${spec.resource} "${spec.name}" not found: what this Idempotency-Key created has been deleted`);
    return object;
  }
}

const usedOtherwise = (): Problem => new Problem('idempotency.key-reused', 'this Idempotency-Key was used for another request; use a new key for a new request');

/** Refuses with 409 when it is not over in time. */
async function waitFor(over: Promise<unknown>, timeoutMs: number): Promise<void> {
  const stop = new AbortController();
  const late = sleep(Math.max(0, timeoutMs), 'late' as const, { signal: stop.signal }).catch(() => undefined);
  const first = await Promise.race([over.then(() => undefined), late]);
  stop.abort();
  if (first !== 'late') return;
  throw new Problem('idempotency.in-progress', 'a request with this Idempotency-Key is still being worked on; try again', { details: { retryAfterSeconds: RETRY_AFTER_S } });
}
