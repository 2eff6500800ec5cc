import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { systemClock } from '@corral/base';
import {
  acceptCandidate, afterUpdate, applyTo, applyToNothing, candidateForCreate, candidateForStatus, candidateForUpdate, defaultFieldValidation, entriesOf,
  isReleased, malformed, objectConflict, objectInvalid, objectNotFound, onlyPresent, planDeletion, readApplied, successor, withManagedFields, withoutRepeats,
  type Candidate, type Decoded, type DeleteOptions, type FieldManager, type ListRequest, type Patch,
} from '@corral/api-machinery';
import { isProblem, Problem, qualifiedResource, type FieldProblem, type KindDefinition, type KubeObject, type ObjectClient } from '@corral/contracts';
import { setTimeout as sleep } from 'node:timers/promises';
import { Admission, type AdmissionRequest } from '../../platform/objects/admission.ts';
import { ChargedStore } from '../quota/charged-store.ts';
import { CompanionConflict, Creations, refusalOf } from './creations.ts';
import { Lists, type ListPage } from './lists.ts';
import { objectClientOf } from './local-object-client.ts';
import { isNameMadeUp, metadataOf, nameSuffix, requireNamespace, requirePreconditions, requireVersion, requireVersionForUpdate, sentVersion } from './sent-object.ts';
import { Watches } from './watches.ts';
import type { ApplyOptions, ObjectAddress, WriteOptions } from './write-options.ts';

export interface DeletionResult {
  /** False while finalizers hold it. */
  readonly isGone: boolean;
  readonly object: KubeObject;
}

/** Writes without a precondition are tried again when another writer was faster. */
const MAX_ATTEMPTS = 100;
const MAX_RETRY_DELAY_MS = 20;
const NAME_ATTEMPTS = 8;
/** Of a collection: they are committed together. */
const DELETE_AT_ONCE = 50;

/** The verbs of the API over every kind: what HTTP, the in-process client and the console's socket have in common. */
@Injectable()
export class Resources {
  readonly #objects: ObjectClient;
  readonly #creations: Creations;

  constructor(
    @Inject(ChargedStore) private readonly store: ChargedStore,
    @Inject(Admission) private readonly admission: Admission,
    @Inject(Lists) private readonly lists: Lists,
    @Inject(Watches) watches: Watches,
  ) {
    this.#objects = objectClientOf(this, watches);
    this.#creations = new Creations(store, admission, this.#objects);
  }

  /** This service as an ObjectClient with full rights. */
  get client(): ObjectClient {
    return this.#objects;
  }

  async get(kind: KindDefinition, { namespace, name }: ObjectAddress): Promise<KubeObject> {
    const object = await this.store.get(kind, namespace, name);
    if (!object) throw objectNotFound(kind, name);
    return object;
  }

  list(kind: KindDefinition, namespace: string | undefined, request: ListRequest): Promise<ListPage> {
    return this.lists.read(kind, namespace, request);
  }

  async create(kind: KindDefinition, decoded: Decoded, target: { namespace: string | undefined }, options: WriteOptions): Promise<KubeObject> {
    for (let [attempt, collisions] = [1, 0]; ; attempt += 1) {
      const birth = { now: systemClock.now(), uid: randomUUID(), nameSuffix: isNameMadeUp(decoded) ? nameSuffix() : '' };
      const candidate = candidateForCreate(kind, decoded, target, birth);
      try {
        return await this.#creations.inTurn(kind, candidate.object, async () => {
          const revealed: Record<string, unknown> = {};
          const admitted = await this.#admit(kind, candidate, undefined, 'Create', options, revealed);
          requireNamespace(kind, admitted);
          const entries = afterUpdate(kind, undefined, admitted, entriesOf(candidate.managedFields, undefined), managerOf(options, birth.now));
          return withRevealed(await this.#creations.store(kind, withManagedFields(admitted, entries), options), revealed);
        });
      } catch (error) {
        if (error instanceof CompanionConflict && attempt < MAX_ATTEMPTS) {
          await sleep(Math.random() * MAX_RETRY_DELAY_MS);
          continue;
        }
        const isTaken = isProblem(error, 'object.exists') && error.details?.kind === kind.plural;
        if (!isTaken || !isNameMadeUp(decoded) || (collisions += 1) === NAME_ATTEMPTS) throw refusalOf(error);
      }
    }
  }

  /**
   * Server-side apply: creates the object, or lays the configuration over it. Refusals beside those of every write:
   * `object.conflict` when somebody else manages a field with another value.
   */
  async apply(kind: KindDefinition, address: ObjectAddress, decoded: Decoded, options: ApplyOptions): Promise<{ readonly object: KubeObject; readonly isCreated: boolean }> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        if (options.subresource || (await this.store.get(kind, address.namespace, address.name))) {
          return { object: await this.#applyToExisting(kind, address, decoded, options), isCreated: false };
        }
        return { object: await this.#createByApply(kind, address, decoded, options), isCreated: true };
      } catch (error) {
        // Created or deleted by somebody else between the two steps.
        const isOvertaken = isProblem(error, 'object.exists') || isNotFound(error, kind, address) || error instanceof CompanionConflict;
        const mayTryAgain = !options.subresource && isOvertaken && !options.dryRun;
        if (!mayTryAgain || attempt === MAX_ATTEMPTS) throw refusalOf(error);
      }
    }
  }

  async #createByApply(kind: KindDefinition, address: ObjectAddress, decoded: Decoded, options: ApplyOptions): Promise<KubeObject> {
    await options.authorizeCreate();
    if (sentVersion(decoded) !== undefined || metadataOf(decoded)['uid'] !== undefined) throw objectConflict(kind, address.name);
    if (isNameMadeUp(decoded)) throw malformed('name must be provided');
    const birth = { now: systemClock.now(), uid: randomUUID(), nameSuffix: nameSuffix() };
    const applied = applyToNothing(kind, readApplied(kind, decoded.value, undefined), applicationOf(options));
    const candidate = candidateForCreate(kind, { value: applied.value, duplicates: decoded.duplicates }, address, birth);
    return this.#creations.inTurn(kind, candidate.object, async () => {
      const revealed: Record<string, unknown> = {};
      const object = await this.#admit(kind, candidate, undefined, 'Create', options, revealed);
      return withRevealed(await this.#creations.store(kind, withManagedFields(object, onlyPresent(kind, object, applied.entries)), options), revealed);
    });
  }

  #applyToExisting(kind: KindDefinition, address: ObjectAddress, decoded: Decoded, options: ApplyOptions): Promise<KubeObject> {
    const configuration = readApplied(kind, decoded.value, options.subresource);
    return this.#update(kind, address, options, sentVersion(decoded) === undefined, async (current) => {
      requireVersion(kind, current, decoded);
      const applied = applyTo(kind, current, configuration, applicationOf(options));
      const value: Decoded = { value: applied.value, duplicates: decoded.duplicates };
      const object = options.subresource
        ? await this.#permitStatus(kind, accept(kind, candidateForStatus(kind, value, current), options), current, options)
        : await this.#admit(kind, candidateForUpdate(kind, value, current), current, 'Update', options);
      return withManagedFields(object, onlyPresent(kind, object, applied.entries));
    });
  }

  /** PUT. Custom kinds must say which version they replace; built-in ones may leave it out. */
  replace(kind: KindDefinition, address: ObjectAddress, decoded: Decoded, options: WriteOptions): Promise<KubeObject> {
    requireVersionForUpdate(kind, address, decoded);
    return this.#update(kind, address, options, sentVersion(decoded) === undefined, async (current) => {
      requireVersion(kind, current, decoded);
      return this.#admitUpdate(kind, decoded, current, options);
    });
  }

  patch(kind: KindDefinition, address: ObjectAddress, patch: Patch, options: WriteOptions): Promise<KubeObject> {
    return this.#update(kind, address, options, true, async (current) => {
      const decoded = this.#patched(kind, patch, current);
      return this.#admitUpdate(kind, decoded, current, options);
    });
  }

  async #admitUpdate(kind: KindDefinition, decoded: Decoded, current: KubeObject, options: WriteOptions): Promise<KubeObject> {
    const candidate = candidateForUpdate(kind, decoded, current);
    const object = await this.#admit(kind, candidate, current, 'Update', options);
    const entries = entriesOf(candidate.managedFields, current.metadata.managedFields);
    return withManagedFields(object, afterUpdate(kind, current, object, entries, managerOf(options)));
  }

  replaceStatus(kind: KindDefinition, address: ObjectAddress, decoded: Decoded, options: WriteOptions): Promise<KubeObject> {
    requireVersionForUpdate(kind, address, decoded);
    return this.#update(kind, address, options, sentVersion(decoded) === undefined, (current) => {
      requireVersion(kind, current, decoded);
      return this.#acceptStatus(kind, decoded, current, options);
    });
  }

  patchStatus(kind: KindDefinition, address: ObjectAddress, patch: Patch, options: WriteOptions): Promise<KubeObject> {
    return this.#update(kind, address, options, true, (current) =>
      this.#acceptStatus(kind, this.#patched(kind, patch, current), current, options),
    );
  }

  async #permitStatus(kind: KindDefinition, object: KubeObject, current: KubeObject, { user }: WriteOptions): Promise<KubeObject> {
    for (const permit of this.admission.statusPermitsOf(kind)) await permit(object, current, { user, objects: this.#objects });
    return object;
  }

  async #acceptStatus(kind: KindDefinition, decoded: Decoded, current: KubeObject, options: WriteOptions): Promise<KubeObject> {
    const object = await this.#permitStatus(kind, accept(kind, candidateForStatus(kind, decoded, current), options), current, options);
    const entries = current.metadata.managedFields ?? [];
    return withManagedFields(object, afterUpdate(kind, current, object, entries, { ...managerOf(options), subresource: 'status' }));
  }

  #patched(kind: KindDefinition, patch: Patch, current: KubeObject): Decoded {
    const decoded: Decoded = { value: patch(current), duplicates: [] };
    requireVersion(kind, current, decoded, true);
    const metadata = metadataOf(decoded);
    if (metadata['uid'] !== undefined && metadata['uid'] !== current.metadata.uid) {
      throw objectInvalid(kind, current.metadata.name, [{ field: 'metadata.uid', reason: 'FieldValueInvalid', message: 'field is immutable' }], decoded.value);
    }
    return decoded;
  }

  async delete(kind: KindDefinition, address: ObjectAddress, options: DeleteOptions): Promise<DeletionResult> {
    if (kind.undeletable?.includes(address.name)) {
      throw new Problem('request.forbidden', `${qualifiedResource(kind)} "${address.name}" is forbidden: this ${kind.singular} may not be deleted`, {
        details: { name: address.name, group: kind.group, kind: kind.plural },
      });
    }
    for (let attempt = 1; ; attempt += 1) {
      const current = await this.get(kind, address);
      requirePreconditions(kind, current, options);
      const plan = planDeletion(kind, current, options, systemClock.now());
      const object = plan.outcome === 'Mark' ? plan.object : current;
      if (options.dryRun || plan.outcome === 'AlreadyMarked') return { isGone: plan.outcome === 'Remove', object };
      try {
        if (plan.outcome === 'Mark') return { isGone: false, object: await this.store.update(kind, current, object) };
        return { isGone: true, object: await this.store.remove(kind, current, current) };
      } catch (error) {
        if (!isProblem(error, 'object.conflict') || options.preconditions?.resourceVersion || attempt === MAX_ATTEMPTS) throw error;
        await sleep(Math.random() * MAX_RETRY_DELAY_MS);
      }
    }
  }

  /** Deletes what a list with the same request would show; answers what was deleted. */
  async deleteCollection(kind: KindDefinition, namespace: string | undefined, request: ListRequest, options: DeleteOptions): Promise<ListPage> {
    if (kind.undeletable) throw new Problem('method.not-allowed', `the server does not allow this method on the requested resource: delete ${kind.plural} one by one`);
    const page = await this.list(kind, namespace, request);
    const remove = async ({ metadata }: KubeObject): Promise<void> => {
      const address = { namespace: metadata.namespace, name: metadata.name };
      await this.delete(kind, address, { ...options, preconditions: { uid: metadata.uid } }).catch((error: unknown) => {
        // Gone, or replaced by another of the same name: not part of what was listed.
        if (!isProblem(error, 'object.not-found') && !isProblem(error, 'object.conflict')) throw error;
      });
    };
    for (let at = 0; at < page.objects.length; at += DELETE_AT_ONCE) await Promise.all(page.objects.slice(at, at + DELETE_AT_ONCE).map(remove));
    return page;
  }

  /** Reads, decides, and writes what was decided if nobody else wrote meanwhile; else tells, or begins again. */
  async #update(
    kind: KindDefinition,
    address: ObjectAddress,
    options: WriteOptions,
    mayRetry: boolean,
    decide: (current: KubeObject) => Promise<KubeObject>,
  ): Promise<KubeObject> {
    const known = this.store.peek(kind, address.namespace, address.name);
    const quick = known && !options.dryRun ? await this.#updateKnown(kind, known, decide) : undefined;
    if (quick) return quick;
    for (let attempt = 1; ; attempt += 1) {
      const current = await this.get(kind, address);
      const next = successor(current, await decide(current));
      if (!next) return current;
      if (options.dryRun) {
        await this.store.check({ type: 'Update', kind, current, next });
        return next;
      }
      try {
        return isReleased(kind, next) ? await this.store.remove(kind, current, next) : await this.store.update(kind, current, next);
      } catch (error) {
        if (!isProblem(error, 'object.conflict') || !mayRetry || attempt === MAX_ATTEMPTS) throw error;
        await sleep(Math.random() * MAX_RETRY_DELAY_MS);
      }
    }
  }

  /**
   * The same without asking what is stored now: the write itself finds out. What is refused here, or would change nothing,
   * may be so only because the object is known in an old version: undefined, and it is decided anew.
   */
  async #updateKnown(kind: KindDefinition, known: KubeObject, decide: (current: KubeObject) => Promise<KubeObject>): Promise<KubeObject | undefined> {
    try {
      const next = successor(known, await decide(known));
      if (!next) return undefined;
      return isReleased(kind, next) ? await this.store.remove(kind, known, next) : await this.store.update(kind, known, next);
    } catch (error) {
      if (error instanceof Problem && error.code !== 'dependency.unavailable') return undefined;
      throw error;
    }
  }

  /** Defaults and checks that look at other objects; refuses with everything that is wrong at once. */
  async #admit(kind: KindDefinition, candidate: Candidate, previous: KubeObject | undefined, operation: AdmissionRequest['operation'], options: WriteOptions, revealed: Record<string, unknown> = {}): Promise<KubeObject> {
    let { object } = candidate;
    const request: AdmissionRequest = { operation, user: options.user, isDryRun: options.dryRun, objects: this.#objects, reveal: (fields) => Object.assign(revealed, fields) };
    if (candidate.complete) {
      for (const fill of this.admission.defaultersOf(kind)) object = await fill(object, previous, request);
    }
    const problems: FieldProblem[] = [...candidate.problems];
    for (const check of this.admission.checksOf(kind)) {
      try {
        problems.push(...withoutRepeats(await check(object, previous, request), problems));
      } catch (error) {
        // A check may trip over a field that was cut out because it is bad; that field is reported already.
        if (candidate.complete || error instanceof Problem) throw error;
      }
    }
    const accepted = accept(kind, { ...candidate, object, problems }, options);
    for (const permit of this.admission.permitsOf(kind)) await permit(accepted, previous, request);
    for (const warning of kind.warnings?.(accepted) ?? []) options.warn?.(warning);
    return accepted;
  }
}

const managerOf = ({ fieldManager }: WriteOptions, now = systemClock.now()): FieldManager => ({ manager: fieldManager, now });

const applicationOf = (options: ApplyOptions): FieldManager & { readonly force: boolean } => ({
  ...managerOf(options),
  force: options.force,
  ...(options.subresource ? { subresource: options.subresource } : {}),
});

/** The object itself is not there; a namespace that is missing is another matter. */
const isNotFound = (error: unknown, kind: KindDefinition, { name }: ObjectAddress): boolean =>
  isProblem(error, 'object.not-found') && (error as Problem).details?.kind === kind.plural && (error as Problem).details?.name === name;

function accept(kind: KindDefinition, candidate: Candidate, options: WriteOptions): KubeObject {
  const warnings = acceptCandidate(kind, candidate, options.fieldValidation ?? defaultFieldValidation(kind));
  for (const warning of warnings) options.warn?.(warning);
  return candidate.object;
}

/** What may be seen once is in the answer and nowhere else. */
const withRevealed = (object: KubeObject, revealed: Readonly<Record<string, unknown>>): KubeObject =>
  Object.keys(revealed).length === 0 ? object : { ...object, status: { ...(object.status as object | undefined), ...revealed } };

