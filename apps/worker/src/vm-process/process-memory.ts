import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { HostMemory } from '@corral/memory';

const { memory: hostMemory } = HostMemory.probe();

/** The host's virtual memory; undefined where it cannot be reached. */
export { hostMemory };

type CollectGarbage = (options: { readonly type: 'major'; readonly execution: 'sync'; readonly flavor: 'last-resort' }) => void;
let collectGarbage: CollectGarbage | undefined;

/** Gives back what V8 and malloc keep for later. The second round finds what the first one's finalizers let go. */
export function trimProcess(): void {
  if (!collectGarbage) {
    setFlagsFromString('--expose-gc');
    collectGarbage = runInNewContext('gc') as CollectGarbage;
  }
  for (let round = 0; round < 2; round += 1) collectGarbage({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  hostMemory?.trimHeap();
}
