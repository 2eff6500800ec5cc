import { Inject, Injectable, Logger, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { priorityClasses, Problem, SYSTEM_PRIORITY_CLASSES, type NewObject, type ObjectClient } from '@corral/contracts';
import { Backoff, pause, systemTimers } from '@corral/reconcile';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';

/** Creates the classes every cluster has, when the server starts. */
@Injectable()
export class SystemPriorityClasses implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('PriorityClasses');
  readonly #abort = new AbortController();
  #running: Promise<void> | undefined;

  constructor(@Inject(OBJECT_CLIENT) private readonly objects: ObjectClient) {}

  onApplicationBootstrap(): void {
    this.#running = this.#create();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  async #create(): Promise<void> {
    const { signal } = this.#abort;
    const backoff = new Backoff({ baseMs: 200, maxMs: 10_000, random: Math.random });
    for (const { name, ...body } of SYSTEM_PRIORITY_CLASSES) {
      const object = { metadata: { name }, ...body } as NewObject;
      while (!signal.aborted && !(await this.#exists(name, object))) await pause(systemTimers, backoff.next(name), signal);
    }
  }

  async #exists(name: string, object: NewObject): Promise<boolean> {
    const kind = priorityClasses;
    try {
      if (!(await this.objects.get(kind, undefined, name))) await this.objects.create(kind, object);
      return true;
    } catch (error) {
      // Another API process was first.
      if (error instanceof Problem && error.code === 'object.exists') return true;
      this.#logger.warn({ err: error }, `PriorityClass ${name} could not be created; trying again`);
      return false;
    }
  }
}
