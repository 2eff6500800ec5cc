import type { VirtualMachine } from '@corral/contracts';
import { useSyncExternalStore } from 'react';
import { asRefusal, type Refusal } from '../api/refusal.ts';
import { MACHINES, remove, setPowerState, turnSleep, type PowerState } from '../api/resources.ts';
import { acceptWrite } from './live.ts';

/** What a person asked of a machine, until the machine itself says it. */
export interface Intent {
  /** The generation it was asked of: a later one knows it, or knows better. */
  readonly generation: number;
  readonly wish: 
    | { readonly type: 'Power'; readonly powerState: PowerState }
    | { readonly type: 'Sleep'; readonly turn: 'hibernate' | 'wake' }
    | { readonly type: 'Delete' };
  /** Set when the API said no. */
  readonly refusal?: Refusal;
}

/** The machine as asked for: spec is intent, so it shows at once; status is fact, so it is left alone. Pure. */
export function withIntent(vm: VirtualMachine, intent: Intent | undefined, now: Date): VirtualMachine {
  if (!intent || intent.refusal || vm.metadata.generation > intent.generation) return vm;
  switch (intent.wish.type) {
    case 'Power':
      return vm.spec ? { ...vm, spec: { ...vm.spec, powerState: intent.wish.powerState } } : vm;
    // What a machine sleeps through is its status, which is fact.
    case 'Sleep':
      return vm;
    case 'Delete':
      return {
        ...vm,
        metadata: { ...vm.metadata, deletionTimestamp: vm.metadata.deletionTimestamp ?? now.toISOString() },
      };
  }
}

let intents: ReadonlyMap<string, Intent> = new Map();
const listeners = new Set<() => void>();

function set(uid: string, intent: Intent | undefined): void {
  const next = new Map(intents);
  if (intent) next.set(uid, intent);
  else next.delete(uid);
  intents = next;
  listeners.forEach((listener) => listener());
}

/** Asks for a power state, sleep or an end; shows it at once, and takes it back with the reason when the API refuses. */
export async function ask(vm: VirtualMachine, wish: Intent['wish']): Promise<void> {
  const { uid, generation } = vm.metadata;
  set(uid, { generation, wish });
  try {
    if (wish.type === 'Delete') {
      await remove(MACHINES, vm);
      return;
    }
    acceptWrite(await (wish.type === 'Sleep' ? turnSleep(vm, wish.turn) : setPowerState(vm, wish.powerState)));
    set(uid, undefined);
  } catch (error) {
    set(uid, { generation, wish, refusal: asRefusal(error) });
    throw error;
  }
}

export const dismissIntent = (uid: string): void => set(uid, undefined);

export function useIntents(): ReadonlyMap<string, Intent> {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => intents,
  );
}
