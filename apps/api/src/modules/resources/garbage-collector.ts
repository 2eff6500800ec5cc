import { Inject, Injectable, Logger } from '@nestjs/common';
import { FOREGROUND_FINALIZER, ORPHAN_FINALIZER, planCollection, type Change } from '@corral/api-machinery';
import { KINDS, Problem, qualifiedResource, type KindDefinition, type KubeObject } from '@corral/contracts';
import { setTimeout as sleep } from 'node:timers/promises';
import { ChangeFeed } from '../../platform/database/change-feed.ts';
import { CONTROLLER, CONTROLLER_FIELD_MANAGER } from '../../platform/auth/user.ts';
import { Leadership } from '../../platform/leadership/leadership.ts';
import { PostgresStore, type ObjectLocation } from '../../platform/database/postgres-store.ts';
import { Resources } from './resources.service.ts';

/** What was missed is found at the latest then. */
const RESYNC_MS = 60_000;
const RETRY_MS = 1_000;

const KINDS_BY_RESOURCE = new Map(KINDS.map((kind) => [qualifiedResource(kind), kind]));

/**
 * Removes objects whose owners are gone, and carries out foreground and orphaning deletion. It looks at what is stored,
 * never at what a change said: changes only say when to look.
 */
@Injectable()
export class GarbageCollector {
  readonly #logger = new Logger(GarbageCollector.name);

  constructor(
    @Inject(ChangeFeed) private readonly feed: ChangeFeed,
    @Inject(PostgresStore) private readonly store: PostgresStore,
    @Inject(Resources) private readonly resources: Resources,
    @Inject(Leadership) leadership: Leadership,
  ) {
    leadership.whileLeading('garbage-collector', (signal) => this.#run(signal));
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const subscription = this.feed.subscribe();
      try {
        await this.#sweep(undefined);
        let sweptAt = Date.now();
        for (;;) {
          const batch = await subscription.next(sweptAt + RESYNC_MS - Date.now(), signal);
          if (!batch) break;
          const isResync = Date.now() - sweptAt >= RESYNC_MS;
          const gone = batch.changes.filter(({ type }) => type === 'DELETED').map(({ object }) => object.metadata.uid);
          if (isResync) {
            await this.#sweep(undefined);
            sweptAt = Date.now();
          } else if (gone.length > 0 || batch.changes.some(isHeld)) {
            await this.#sweep(gone);
          }
        }
      } catch (error) {
        if (signal.aborted) return;
        this.#logger.warn({ err: error }, 'Garbage collection failed; trying again');
      } finally {
        subscription.end();
      }
      // Also when the feed has ended, which it has for good while the server stops.
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #sweep(owners: readonly string[] | undefined): Promise<void> {
    if (owners === undefined || owners.length > 0) {
      for (const { absent, ...location } of await this.store.findAbandoned(owners)) await this.#collect(location, absent);
    }
    for (const location of await this.store.findHeldBy([FOREGROUND_FINALIZER, ORPHAN_FINALIZER])) await this.#release(location);
  }

  async #collect(location: ObjectLocation, absent: readonly string[]): Promise<void> {
    await this.#withObject(location, async (kind, object) => {
      const plan = planCollection(object, ({ uid }) => absent.includes(uid));
      if (plan.action === 'Delete') await this.#delete(kind, object);
      else if (plan.action === 'Disown') await this.#update(kind, object, { ...object.metadata, ownerReferences: plan.ownerReferences });
    });
  }

  /** Deletes or disowns the dependents of an object being deleted; lets it go when none is left to wait for. */
  async #release(location: ObjectLocation): Promise<void> {
    await this.#withObject(location, async (kind, owner) => {
      const { uid, finalizers = [] } = owner.metadata;
      const isOrphaning = finalizers.includes(ORPHAN_FINALIZER);
      let blocking = 0;
      for (const dependent of await this.store.findDependents(owner.metadata)) {
        await this.#withObject(dependent, async (dependentKind, object) => {
          const owners = object.metadata.ownerReferences ?? [];
          if (isOrphaning) {
            await this.#update(dependentKind, object, { ...object.metadata, ownerReferences: owners.filter((reference) => reference.uid !== uid) });
            return;
          }
          if (owners.some((reference) => reference.uid === uid && reference.blockOwnerDeletion)) blocking += 1;
          if (object.metadata.deletionTimestamp === undefined) await this.#delete(dependentKind, object);
        });
      }
      if (blocking > 0) return;
      const rest = finalizers.filter((finalizer) => finalizer !== ORPHAN_FINALIZER && finalizer !== FOREGROUND_FINALIZER);
      await this.#update(kind, owner, { ...owner.metadata, finalizers: rest });
    });
  }

  /** Does something about an object that may have changed or gone meanwhile, which the next look will see. */
  async #withObject({ resource, namespace, name }: ObjectLocation, act: (kind: KindDefinition, object: KubeObject) => Promise<void>): Promise<void> {
    const kind = KINDS_BY_RESOURCE.get(resource);
    if (!kind) return;
    try {
      await act(kind, await this.resources.get(kind, { namespace, name }));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.code === 'object.not-found' || error.code === 'object.conflict') return;
      // One object that cannot be written must not keep the others from being looked at.
      this.#logger.warn({ err: error }, `Garbage collection of ${resource} ${namespace}/${name} was refused`);
    }
  }

  async #delete(kind: KindDefinition, { metadata: { namespace, name, uid } }: KubeObject): Promise<void> {
    await this.resources.delete(kind, { namespace, name }, { preconditions: { uid }, propagationPolicy: 'Background', dryRun: false });
  }

  async #update(kind: KindDefinition, object: KubeObject, metadata: KubeObject['metadata']): Promise<void> {
    const { namespace, name } = object.metadata;
    await this.resources.replace(kind, { namespace, name }, { value: { ...object, metadata }, duplicates: [] }, { user: CONTROLLER, fieldManager: CONTROLLER_FIELD_MANAGER, dryRun: false });
  }
}

const isHeld = ({ object }: Change): boolean =>
  object.metadata.deletionTimestamp !== undefined && (object.metadata.finalizers ?? []).some((finalizer) => finalizer === FOREGROUND_FINALIZER || finalizer === ORPHAN_FINALIZER);
