import { missingRights } from '@corral/access-control';
import { sameJson } from '@corral/api-machinery';
import { asBinding, asClusterRole, clusterRoles, Problem, type ClusterRole, type KubeObject, type NewObject, type ObjectClient, type RoleBinding } from '@corral/contracts';
import { Backoff, pause, systemTimers } from '@corral/reconcile';
import { Inject, Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { AUTOUPDATE, BOOTSTRAP_OBJECTS, type BootstrapObject } from './bootstrap-roles.ts';

const RETRY = { baseMs: 200, maxMs: 10_000, random: Math.random };

/**
 * Brings the roles that come with the server to what this version of it needs: makes what is missing and adds rights and
 * subjects, but takes none away. Source: k8s.io/kubernetes/pkg/registry/rbac/reconciliation.
 */
@Injectable()
export class AccessBootstrap implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger(AccessBootstrap.name);
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(@Inject(OBJECT_CLIENT) private readonly objects: ObjectClient) {}

  /** Nobody is served before the first attempt: what follows a start often asks at once what it may do. */
  async onApplicationBootstrap(): Promise<void> {
    const tried = Promise.withResolvers<undefined>();
    this.#running = this.#run(() => tried.resolve(undefined));
    await tried.promise;
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(tried: () => void): Promise<void> {
    const backoff = new Backoff(RETRY);
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        for (const wanted of BOOTSTRAP_OBJECTS) await this.#ensure(wanted);
        return tried();
      } catch (error) {
        // Another API process starts too, or the database is away.
        if (!(error instanceof Problem && (error.code === 'object.exists' || error.code === 'object.conflict'))) {
          this.#logger.warn({ err: error }, 'The roles that come with the server could not be written; trying again');
          tried();
        }
        await pause(systemTimers, backoff.next('bootstrap'), signal);
      }
    }
  }

  async #ensure({ kind, object: wanted }: BootstrapObject): Promise<void> {
    const existing = await this.objects.get(kind, undefined, wanted.metadata.name);
    if (!existing) {
      await this.objects.create(kind, wanted as NewObject);
      return;
    }
    if (existing.metadata.annotations?.[AUTOUPDATE] === 'false' || existing.metadata.deletionTimestamp !== undefined) return;
    const next = kind === clusterRoles ? withRights(asClusterRole(existing), wanted) : withSubjects(asBinding(existing), wanted);
    if (!sameJson(next, existing)) await this.objects.replace(kind, next);
  }
}

/** The role with every right that it should have and lacks. */
export function withRights(role: ClusterRole, { rules = [], aggregationRule, metadata }: BootstrapObject['object']): ClusterRole {
  const missing = rules.filter((rule) => missingRights(role.rules, [rule]).length > 0);
  const gathers = aggregationRule && !role.aggregationRule ? { aggregationRule } : {};
  const next: ClusterRole = { ...withMetadata(role, metadata), rules: [...role.rules, ...missing], ...gathers };
  return next;
}

/** The binding with every subject that it should have and lacks. */
export function withSubjects(binding: RoleBinding, { subjects = [], metadata }: BootstrapObject['object']): RoleBinding {
  const held = binding.subjects ?? [];
  const missing = subjects.filter((subject) => !held.some((other) => sameJson(other, subject)));
  const next: RoleBinding = { ...withMetadata(binding, metadata), subjects: [...held, ...missing] };
  return next;
}

function withMetadata<T extends KubeObject>(object: T, { labels, annotations }: BootstrapObject['object']['metadata']): T {
  const { metadata } = object;
  return { ...object, metadata: { ...metadata, labels: { ...metadata.labels, ...labels }, annotations: { ...annotations, ...metadata.annotations } } };
}
