import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { HostMemory } from '@corral/memory';

type CollectGarbage = (options: { readonly type: 'major'; readonly execution: 'sync'; readonly flavor: 'last-resort' }) => void;
let collectGarbage: CollectGarbage | undefined;

/** Gives back what V8 and malloc keep for later. The second round finds what the first one's finalizers let go. */
export function trimProcess(memory: HostMemory | undefined): void {
  if (!collectGarbage) {
    setFlagsFromString('--expose-gc');
    collectGarbage = runInNewContext('gc') as CollectGarbage;
  }
  for (let round = 0; round < 2; round += 1) collectGarbage({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  memory?.trimHeap();
}
