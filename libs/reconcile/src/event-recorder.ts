import { createHash } from 'node:crypto';
import { type Clock } from '@corral/base';
import {
  type Event,
  events,
  type KubeObject,
  type NewObject,
  type ObjectClient,
  Problem,
  toKubeTime,
} from '@corral/contracts';
import { SimilarEvents } from './similar-events.ts';

export interface EventRecorderOptions {
  readonly client: ObjectClient;
  /** Who reports, e.g. `corral-worker`. */
  readonly component: string;
  /** The node, where there is one. */
  readonly host?: string;
  readonly clock: Clock;
  onFailure?(error: unknown): void;
}

/** What happened, waiting to be written. */
interface Occurrence {
  readonly object: KubeObject;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  readonly at: Date;
}

/** Beyond this many waiting occurrences new ones are dropped: events are for people, never worth a full memory. */
const MAX_WAITING = 1000;
const MAX_MESSAGE_LENGTH = 1024;

/**
 * Writes Kubernetes Events. The same thing said again about the same object raises `count` instead of adding an event; so does
 * what is said in ever other words, once there were ten.
 * Never throws and never makes its caller wait. Source: k8s.io/client-go/tools/record, EventCorrelator.
 */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #waiting: Occurrence[] = [];
  readonly #similar = new SimilarEvents();
  #writing: Promise<void> | undefined;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  record(object: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    if (this.#waiting.length >= MAX_WAITING) return;
    this.#waiting.push({
      object,
      type,
      reason,
      message: message.slice(0, MAX_MESSAGE_LENGTH),
      at: this.#options.clock.now(),
    });
    this.#writing ??= this.#drain();
  }

  /** Resolves when everything recorded so far has been written or given up. */
  async flushed(): Promise<void> {
    await this.#writing;
  }

  async #drain(): Promise<void> {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      try {
        await this.#write(next);
      } catch (error) {
        this.#options.onFailure?.(error);
      }
    }
    this.#writing = undefined;
  }

  async #write(occurrence: Occurrence): Promise<void> {
    const { client } = this.#options;
    const event = this.#eventOf(occurrence);
    const { namespace, name } = event.metadata;
    const earlier = (await client.get(events, namespace, name)) as Event | undefined;
    try {
      if (!earlier) await client.create(events, event);
      else
        await client.replace(events, {
          ...earlier,
          message: event.message,
          count: (earlier.count ?? 1) + 1,
          lastTimestamp: toKubeTime(occurrence.at),
        } as Event);
    } catch (error) {
      // Another writer counted at the same moment: what matters, that it happened, is already there.
      if (error instanceof Problem && (error.code === 'object.conflict' || error.code === 'object.exists')) return;
      throw error;
    }
  }

  #eventOf({
    object,
    type,
    reason,
    message,
    at,
  }: Occurrence): NewObject & Pick<Event, 'involvedObject' | 'message'> & { metadata: { namespace: string } } {
    const { apiVersion, kind, metadata } = object;
    const namespace = metadata.namespace ?? 'default';
    const { component, host } = this.#options;
    const group = JSON.stringify([metadata.uid, type, reason, component, host]);
    const isOneOfMany = this.#similar.isOneOfMany(group, message, at.getTime());
    const identity = createHash('sha256')
      .update(isOneOfMany ? group : JSON.stringify([metadata.uid, type, reason, message, component, host]))
      .digest('hex');
    const time = toKubeTime(at);
    const event = {
      metadata: { name: `${metadata.name.slice(0, 200)}.${identity.slice(0, 16)}`, namespace },
      involvedObject: {
        apiVersion,
        kind,
        name: metadata.name,
        uid: metadata.uid,
        resourceVersion: metadata.resourceVersion,
        ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
      },
      type,
      reason,
      message: isOneOfMany ? `(combined from similar events): ${message}`.slice(0, MAX_MESSAGE_LENGTH) : message,
      source: { component, ...(host === undefined ? {} : { host }) },
      reportingComponent: component,
      reportingInstance: host ?? '',
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
    };
    return event;
  }
}
