import { Inject, Injectable, Logger, type BeforeApplicationShutdown } from '@nestjs/common';
import { qualifiedResource, type KindDefinition, type ObjectClient } from '@corral/contracts';
import { Informer } from '@corral/reconcile';
import { HealthChecks } from '../../platform/telemetry/health-checks.ts';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';

/** A missed event costs at most this long. */
const RESYNC_MS = 5 * 60_000;

/** One local copy per kind, shared by every controller of this process. */
@Injectable()
export class Informers implements BeforeApplicationShutdown {
  readonly #logger = new Logger('Informers');
  readonly #informers = new Map<string, Informer<unknown, unknown>>();
  readonly #abort = new AbortController();
  #started = false;

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(HealthChecks) checks: HealthChecks,
  ) {
    checks.add('readyz', 'informers', () => {
      for (const [resource, informer] of this.#informers) if (!informer.hasSynced) throw new Error(`${resource} were not listed yet`);
    });
  }

  /** The copy of this kind; it fills once the process has started. */
  of<Spec, Status>(kind: KindDefinition<Spec, Status>): Informer<Spec, Status> {
    const resource = qualifiedResource(kind);
    const existing = this.#informers.get(resource);
    if (existing) return existing as unknown as Informer<Spec, Status>;
    const informer = new Informer<Spec, Status>({
      client: this.objects,
      kind,
      resyncMs: RESYNC_MS,
      onFailure: (error) => this.#logger.warn({ err: error }, `Following ${resource} failed; trying again`),
    });
    this.#informers.set(resource, informer as unknown as Informer<unknown, unknown>);
    if (this.#started) informer.start(this.#abort.signal);
    return informer;
  }

  /** Begins to follow; resolves when every kind was listed once. */
  async start(): Promise<void> {
    if (!this.#started) {
      this.#started = true;
      for (const informer of this.#informers.values()) informer.start(this.#abort.signal);
    }
    await this.synced();
  }

  /** Resolves when every kind was listed once. */
  async synced(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.synced()));
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#abort.abort();
    await Promise.all([...this.#informers.values()].map((informer) => informer.stopped()));
  }
}
