import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import {
  KINDS,
  namespaces,
  Problem,
  SYSTEM_NAMESPACES,
  withCondition,
  type KindDefinition,
  type Namespace,
  type ObjectClient,
  type ObjectKey,
} from '@corral/contracts';
import { systemClock } from '@corral/base';
import { Backoff, pause, systemTimers, type ReconcileResult } from '@corral/reconcile';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';
import { after, DONE, on, Reconcilers, type Reconciler, type Trigger } from '../controllers/reconcilers.ts';
import { writeStatus } from '../controllers/write-status.ts';

const NAMESPACE_FINALIZER = 'kubernetes';
const RECHECK_MS = 1_000;

/** Empties namespaces that are being deleted, then lets them go. Deleting what is inside is what its own controllers finish. */
@Injectable()
export class NamespaceReconciler implements Reconciler, OnApplicationBootstrap {
  readonly name = 'namespaces';
  readonly placement = 'Shared';
  readonly triggers: readonly Trigger[] = [on(namespaces)];
  readonly #logger = new Logger('Namespaces');

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
    @Inject(Reconcilers) reconcilers: Reconcilers,
  ) {
    reconcilers.add(this);
  }

  onApplicationBootstrap(): void {
    void this.#createSystemNamespaces();
  }

  async reconcile({ name }: ObjectKey): Promise<ReconcileResult> {
    const namespace = this.informers.of(namespaces).get(undefined, name);
    if (namespace?.metadata.deletionTimestamp === undefined) return DONE;
    const remaining = await this.#deleteContents(name);
    if (remaining.length > 0) {
      await this.#reportRemaining(namespace, remaining);
      return after(RECHECK_MS);
    }
    const finalizers = (namespace.spec?.finalizers ?? []).filter((finalizer) => finalizer !== NAMESPACE_FINALIZER);
    await this.objects.replace(namespaces, { ...namespace, spec: { ...namespace.spec, finalizers } });
    return DONE;
  }

  /** Asks for everything inside to be deleted; says what is still there, e.g. `2 virtualmachines`. */
  async #deleteContents(name: string): Promise<string[]> {
    const remaining: string[] = [];
    for (const kind of KINDS.filter(({ scope }) => scope === 'Namespaced')) {
      const { items } = await this.objects.list(kind, { namespace: name });
      if (items.length === 0) continue;
      remaining.push(`${items.length} ${kind.plural}`);
      for (const { metadata } of items) {
        if (metadata.deletionTimestamp === undefined) await this.objects.delete(kind, name, metadata.name, { uid: metadata.uid });
      }
    }
    return remaining;
  }

  async #reportRemaining(namespace: Namespace, remaining: readonly string[]): Promise<void> {
    const update = { type: 'NamespaceContentRemaining', status: 'True', reason: 'SomeResourcesRemain', message: `Still there: ${remaining.join(', ')}.` } as const;
    const conditions = withCondition(namespace.status?.conditions, update, systemClock.now());
    await writeStatus(this.objects, this.informers.of(namespaces), namespaces, namespace, { ...namespace.status, phase: 'Terminating', conditions });
  }

  async #createSystemNamespaces(): Promise<void> {
    const backoff = new Backoff({ baseMs: 200, maxMs: 10_000, random: Math.random });
    const never = new AbortController().signal;
    for (const name of SYSTEM_NAMESPACES) {
      while (!(await this.#exists(name))) await pause(systemTimers, backoff.next(name), never);
    }
  }

  async #exists(name: string): Promise<boolean> {
    try {
      if (!(await this.objects.get(namespaces, undefined, name))) await this.objects.create(namespaces as KindDefinition, { metadata: { name } });
      return true;
    } catch (error) {
      // Another API process was first.
      if (error instanceof Problem && error.code === 'object.exists') return true;
      this.#logger.warn({ err: error }, `Namespace ${name} could not be created; trying again`);
      return false;
    }
  }
}
