import { Inject, Injectable, Logger } from '@nestjs/common';
import { systemClock } from '@corral/base';
import { events, type Event, type KubeObject, type ObjectClient } from '@corral/contracts';
import { pause, systemTimers } from '@corral/reconcile';
import { Leadership } from '../../platform/leadership/leadership.ts';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';

/** Source: kube-apiserver, --event-ttl. */
export const EVENT_TTL_MS = 60 * 60_000;
const SWEEP_MS = 5 * 60_000;

/** Forgets events that happened last more than an hour ago. */
@Injectable()
export class EventSweep {
  readonly #logger = new Logger('EventSweep');

  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Leadership) leadership: Leadership,
  ) {
    leadership.whileLeading('event-sweep', (signal) => this.#run(signal));
  }

  /** Deletes what is too old by `now`; says how many. */
  async sweep(now: Date, signal?: AbortSignal): Promise<number> {
    const { items } = await this.objects.list(events);
    const old = items.filter((event) => now.getTime() - lastSeen(event).getTime() > EVENT_TTL_MS);
    for (const { metadata } of old) {
      if (signal?.aborted) break;
      await this.objects.delete(events, metadata.namespace, metadata.name, { uid: metadata.uid });
    }
    return old.length;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(systemTimers, SWEEP_MS, signal);
      if (signal.aborted) return;
      await this.sweep(systemClock.now(), signal).catch((error: unknown) => this.#logger.warn({ err: error }, 'Old events were not deleted; trying again later'));
    }
  }
}

function lastSeen(object: KubeObject): Date {
  const event = object as Event;
  return new Date(event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp);
}
