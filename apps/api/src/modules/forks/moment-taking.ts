import { Inject, Injectable } from '@nestjs/common';
import { findCondition, Problem, virtualMachineSnapshots, type ObjectClient, type VirtualMachineSnapshot } from '@corral/contracts';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Informers } from '../controllers/informers.ts';

/** A machine stands still for milliseconds and its pages are copied in a second; a node that has not done it by then will not. */
export const MOMENT_DEADLINE_MS = 20_000;

type MomentState = { readonly type: 'Held' } | { readonly type: 'Underway' } | { readonly type: 'Failed'; readonly message: string };

/** Whether a moment is there to be forked from: on its node, or in the object store. */
export function stateOf({ metadata, status }: VirtualMachineSnapshot): MomentState {
  const ready = findCondition(status?.conditions, 'Ready');
  if (ready?.status === 'True') return { type: 'Held' };
  if (status?.completedAt !== undefined) return { type: 'Failed', message: `${ready?.reason ?? 'Unknown'}: ${ready?.message ?? ''}` };
  if (metadata.deletionTimestamp !== undefined) return { type: 'Failed', message: 'it is being deleted' };
  // What is uploaded was held before.
  return ready === undefined || ready.reason === 'Taking' ? { type: 'Underway' } : { type: 'Held' };
}

/** Waits for the nodes that take moments. */
@Injectable()
export class MomentTaking {
  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(Informers) private readonly informers: Informers,
  ) {
    // Whoever waits for a moment hears of it here.
    informers.of(virtualMachineSnapshots);
  }

  /** Resolves once the moment is held. Refusals: `fork.failed` with what its node said, or when it says nothing for too long; `fork.moment-gone`. */
  async untilHeld(namespace: string, name: string): Promise<void> {
    const tooLong = AbortSignal.timeout(MOMENT_DEADLINE_MS);
    const changed = new Doorbell();
    const stop = this.informers.of(virtualMachineSnapshots).onChange((key) => {
      if (key.namespace === namespace && key.name === name) changed.ring();
    });
    try {
      for (;;) {
        const heard = changed.heard();
        // Not the informer's copy, which may be older than the moment.
        const moment = await this.objects.get(virtualMachineSnapshots, namespace, name);
        if (!moment) throw new Problem('fork.moment-gone', `the moment "${name}" is over: fork the machine again`);
        const state = stateOf(moment);
        if (state.type === 'Held') return;
        if (state.type === 'Failed') throw new Problem('fork.failed', `the machine could not be forked: ${state.message}`);
        await heard(tooLong);
        if (tooLong.aborted) throw new Problem('fork.failed', `the machine could not be forked: node ${moment.spec?.nodeName ?? ''} has not kept its moment within ${MOMENT_DEADLINE_MS / 1000} s`);
      }
    } finally {
      stop();
    }
  }
}

/** What rings before somebody waits for it is heard as well. */
class Doorbell {
  #next = Promise.withResolvers<undefined>();

  ring(): void {
    this.#next.resolve(undefined);
    this.#next = Promise.withResolvers();
  }

  /** Begins to listen; what it gives waits for the first ring since then, or for the signal. */
  heard(): (signal: AbortSignal) => Promise<void> {
    const { promise } = this.#next;
    return async (signal) => {
      const { promise: aborted, resolve } = Promise.withResolvers<undefined>();
      const abort = (): void => resolve(undefined);
      signal.addEventListener('abort', abort, { once: true });
      if (signal.aborted) abort();
      await Promise.race([promise, aborted]);
      signal.removeEventListener('abort', abort);
    };
  }
}
