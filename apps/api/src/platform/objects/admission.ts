import { Injectable } from '@nestjs/common';
import type { Write } from '@corral/api-machinery';
import type { FieldProblem, KindDefinition, KubeObject, ObjectClient } from '@corral/contracts';
import { qualifiedResource } from '@corral/contracts';
import type { Actor } from '../auth/user.ts';

/** What an admission rule may know of the request beside the object. */
export interface AdmissionRequest {
  readonly operation: 'Create' | 'Update';
  /** Who writes; controllers of this process write as CONTROLLER. */
  readonly user: Actor;
  /** A dry run runs every rule too: a rule must write nothing then. */
  readonly isDryRun: boolean;
  /** The API with full rights, for looking at other objects. */
  readonly objects: ObjectClient;
  /** Puts fields into the status of the answer to this create, which are stored nowhere: what may be seen once. */
  reveal(fields: Readonly<Record<string, unknown>>): void;
}

/**
 * Looks at an object in the light of other objects and names every field that is wrong with it. Runs after schema and
 * metadata validation, also when those found problems, so that everything wrong is said at once: fields already found bad
 * are absent from `object` (never of the wrong type). A dry run runs it too, so it must write nothing.
 */
export type AdmissionCheck<Spec, Status> = (
  object: KubeObject<Spec, Status>,
  previous: KubeObject<Spec, Status> | undefined,
  request: AdmissionRequest,
) => Promise<readonly FieldProblem[]>;

/**
 * Fills in what depends on other objects, and what a schema cannot say (a finalizer, a label, a first status): returns the
 * object to store. Runs before the checks, on create and on every write of metadata and spec; must write nothing.
 */
export type AdmissionDefaulter<Spec, Status> = (
  object: KubeObject<Spec, Status>,
  previous: KubeObject<Spec, Status> | undefined,
  request: AdmissionRequest,
) => Promise<KubeObject<Spec, Status>>;

/** Refuses (403) what the rules of a namespace forbid. Runs last, on an object that is otherwise fine; must write nothing. */
export type AdmissionPermit<Spec, Status> = (
  object: KubeObject<Spec, Status>,
  previous: KubeObject<Spec, Status> | undefined,
  request: AdmissionRequest,
) => Promise<void>;

/** Refuses (403) a write of status that its writer has no say in; must write nothing. */
export type AdmissionStatusPermit<Spec, Status> = (
  object: KubeObject<Spec, Status>,
  previous: KubeObject<Spec, Status>,
  request: Pick<AdmissionRequest, 'user' | 'objects'>,
) => Promise<void>;

/** What an object's creation takes with it in other objects: committed in the same transaction, or none of it is. */
export interface AdmissionCompanion<Spec, Status> {
  /** Creations with the same answer are made one after the other by this process, so that they do not race for what they take; undefined for those that take nothing. */
  turnOf(object: KubeObject<Spec, Status>): string | undefined;
  /**
   * The other writes, decided on what is stored now. Must write nothing itself. A conflict, of this or of the writes, means that
   * somebody else was faster: the creation is then admitted anew, with all its defaults.
   */
  writesFor(object: KubeObject<Spec, Status>, request: AdmissionRequest): Promise<readonly Write[]>;
  /** The creation is committed, and answered when this resolves. Who throws has undone it before: the creation is refused with that. */
  answerWhen?(object: KubeObject<Spec, Status>): Promise<void>;
}

/** Where a feature module says what its kind needs beside its schema. Call from a provider's constructor or onModuleInit. */
@Injectable()
export class Admission {
  readonly #checks = new Map<string, AdmissionCheck<unknown, unknown>[]>();
  readonly #defaulters = new Map<string, AdmissionDefaulter<unknown, unknown>[]>();
  readonly #permits = new Map<string, AdmissionPermit<unknown, unknown>[]>();
  readonly #companions = new Map<string, AdmissionCompanion<unknown, unknown>[]>();
  readonly #statusPermits = new Map<string, AdmissionStatusPermit<unknown, unknown>[]>();

  check<Spec, Status>(kind: KindDefinition<Spec, Status>, check: AdmissionCheck<Spec, Status>): void {
    append(this.#checks, qualifiedResource(kind), check as AdmissionCheck<unknown, unknown>);
  }

  default<Spec, Status>(kind: KindDefinition<Spec, Status>, defaulter: AdmissionDefaulter<Spec, Status>): void {
    append(this.#defaulters, qualifiedResource(kind), defaulter as AdmissionDefaulter<unknown, unknown>);
  }

  /** A namespace's own defaults: filled in before what the kind's feature module would. */
  defaultFirst<Spec, Status>(kind: KindDefinition<Spec, Status>, defaulter: AdmissionDefaulter<Spec, Status>): void {
    const resource = qualifiedResource(kind);
    this.#defaulters.set(resource, [defaulter as AdmissionDefaulter<unknown, unknown>, ...(this.#defaulters.get(resource) ?? [])]);
  }

  permit<Spec, Status>(kind: KindDefinition<Spec, Status>, permit: AdmissionPermit<Spec, Status>): void {
    append(this.#permits, qualifiedResource(kind), permit as AdmissionPermit<unknown, unknown>);
  }

  permitStatus<Spec, Status>(kind: KindDefinition<Spec, Status>, permit: AdmissionStatusPermit<Spec, Status>): void {
    append(this.#statusPermits, qualifiedResource(kind), permit as AdmissionStatusPermit<unknown, unknown>);
  }

  companion<Spec, Status>(kind: KindDefinition<Spec, Status>, companion: AdmissionCompanion<Spec, Status>): void {
    append(this.#companions, qualifiedResource(kind), companion as AdmissionCompanion<unknown, unknown>);
  }

  companionsOf(kind: KindDefinition): readonly AdmissionCompanion<unknown, unknown>[] {
    return this.#companions.get(qualifiedResource(kind)) ?? [];
  }

  statusPermitsOf(kind: KindDefinition): readonly AdmissionStatusPermit<unknown, unknown>[] {
    return this.#statusPermits.get(qualifiedResource(kind)) ?? [];
  }

  permitsOf(kind: KindDefinition): readonly AdmissionPermit<unknown, unknown>[] {
    return this.#permits.get(qualifiedResource(kind)) ?? [];
  }

  checksOf(kind: KindDefinition): readonly AdmissionCheck<unknown, unknown>[] {
    return this.#checks.get(qualifiedResource(kind)) ?? [];
  }

  defaultersOf(kind: KindDefinition): readonly AdmissionDefaulter<unknown, unknown>[] {
    return this.#defaulters.get(qualifiedResource(kind)) ?? [];
  }
}

function append<T>(map: Map<string, T[]>, key: string, value: T): void {
  map.set(key, [...(map.get(key) ?? []), value]);
}
