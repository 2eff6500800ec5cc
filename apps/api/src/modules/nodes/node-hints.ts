import { Inject, Injectable, Logger, type BeforeApplicationShutdown } from '@nestjs/common';
import { nodeQueueName, nodes, virtualMachines, virtualMachineSnapshots, type KindDefinition, type KubeObject, type ObjectHint } from '@corral/contracts';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { API_CONFIG, type ApiConfig } from '../../platform/config/api-config.ts';
import { Leadership } from '../../platform/leadership/leadership.ts';
import { Informers } from '../controllers/informers.ts';

/** A hint that Redis does not take within this time is dropped. */
const COMMAND_TIMEOUT_MS = 2_000;
const LOG_EVERY_MS = 60_000;
const LEADER_NAME = 'node-hints';

/**
 * Tells nodes to look at a machine or snapshot whose wishes changed, through their BullMQ queues. Hints only: without
 * Redis they are dropped, never kept, and nodes find the change by their own watch.
 */
@Injectable()
export class NodeHints implements BeforeApplicationShutdown {
  readonly #logger = new Logger('NodeHints');
  readonly #redis: Redis;
  readonly #queues = new Map<string, Queue<ObjectHint>>();
  /** What was last hinted of each object, so that a node is not told of its own status writes. */
  readonly #told = new Map<string, string>();
  #lastLogAt = -Infinity;

  constructor(
    @Inject(Informers) informers: Informers,
    @Inject(API_CONFIG) config: ApiConfig,
    @Inject(Leadership) private readonly leadership: Leadership,
  ) {
    leadership.whileLeading(LEADER_NAME, (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })));
    this.#redis = new Redis(config.redisUrl, {
      // A command without a connection fails at once instead of waiting in memory.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: COMMAND_TIMEOUT_MS,
      retryStrategy: (attempt) => Math.min(5_000, 100 * 2 ** Math.min(attempt, 6)),
    });
    this.#redis.on('error', (error) => this.#complain(error));
    this.#follow(informers, virtualMachines, ({ status }) => status?.move?.requestedAt);
    this.#follow(informers, virtualMachineSnapshots);
    informers.of(nodes).onChange(({ name }, node) => {
      if (!node) void this.#drop(name);
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all([...this.#queues.keys()].map((nodeName) => this.#drop(nodeName)));
    this.#redis.disconnect();
  }

  #follow<Spec extends { readonly nodeName?: string | undefined }, Status>(
    informers: Informers,
    kind: KindDefinition<Spec, Status>,
    askedOf: (object: KubeObject<Spec, Status>) => string | undefined = () => undefined,
  ): void {
    informers.of(kind).onChange(({ namespace, name }, object) => {
      const text = `${kind.plural}.${namespace}.${name}`;
      const nodeName = object?.spec?.nodeName;
      if (!object || nodeName === undefined) {
        this.#told.delete(text);
        return;
      }
      const wish = `${wishOf(object)}/${askedOf(object) ?? ''}`;
      if (this.#told.get(text) === wish) return;
      this.#told.set(text, wish);
      this.#hint(nodeName, text, { resource: kind.plural, namespace, name });
    });
  }

  #hint(nodeName: string, id: string, hint: ObjectHint): void {
    // Every process follows what is wished; one of them tells.
    if (this.#redis.status !== 'ready' || !this.leadership.isLeading(LEADER_NAME)) return;
    this.#queueOf(nodeName)
      // Collapses while it waits; a hint that comes while the node looks makes it look again.
      .add('look', hint, { deduplication: { id, keepLastIfActive: true }, removeOnComplete: true, removeOnFail: true })
      .catch((error: unknown) => this.#complain(error));
  }

  #queueOf(nodeName: string): Queue<ObjectHint> {
    const existing = this.#queues.get(nodeName);
    if (existing) return existing;
    const queue = new Queue<ObjectHint>(nodeQueueName(nodeName), { connection: this.#redis, skipVersionCheck: true });
    queue.on('error', (error) => this.#complain(error));
    this.#queues.set(nodeName, queue);
    return queue;
  }

  async #drop(nodeName: string): Promise<void> {
    const queue = this.#queues.get(nodeName);
    this.#queues.delete(nodeName);
    await queue?.close().catch((error: unknown) => this.#complain(error));
  }

  /** Redis may be away for hours; one line a minute says so. */
  #complain(error: unknown): void {
    const now = performance.now();
    if (now - this.#lastLogAt < LOG_EVERY_MS) return;
    this.#lastLogAt = now;
    this.#logger.warn({ err: error }, 'Redis does not take hints; nodes find changes by their own watch');
  }
}

/** Changes when what is wished of the object does; its status is the node's own business, but for what others ask there. */
function wishOf({ metadata }: KubeObject): string {
  return `${metadata.uid}/${metadata.generation}/${metadata.deletionTimestamp ?? ''}`;
}
