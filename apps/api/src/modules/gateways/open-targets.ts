import { Inject, Injectable } from '@nestjs/common';
import { virtualMachines, type ObjectKey, type VirtualMachine } from '@corral/contracts';
import { Informers } from '../controllers/informers.ts';
import type { DataPlaneTarget } from './data-plane.client.ts';

interface Held {
  readonly target: DataPlaneTarget;
  readonly end: () => void;
}

/**
 * What is open to guests now. A connection belongs to one incarnation on one node: when the machine has left that node, or
 * was started anew, what still comes from there is the word of a machine that no longer exists, and is cut off.
 */
@Injectable()
export class OpenTargets {
  readonly #held = new Map<string, Set<Held>>();

  constructor(@Inject(Informers) private readonly informers: Informers) {
    informers.of(virtualMachines).onChange((key, vm) => this.#check(key, vm));
  }

  /** Calls `end` once, as soon as the target is no longer what its name stands for. The function returned lets go of it. */
  hold(target: DataPlaneTarget, end: () => void): () => void {
    const key = textOf(target);
    const held: Held = { target, end };
    const set = this.#held.get(key) ?? new Set();
    this.#held.set(key, set.add(held));
    const release = (): void => {
      set.delete(held);
      if (set.size === 0 && this.#held.get(key) === set) this.#held.delete(key);
    };
    // It may have changed since the target was looked up; a copy that is older says nothing.
    const known = this.informers.of(virtualMachines).get(target.namespace, target.name);
    if (known && BigInt(known.metadata.resourceVersion) > BigInt(target.resourceVersion)) this.#check(target, known);
    return release;
  }

  #check(key: ObjectKey, vm: VirtualMachine | undefined): void {
    const set = this.#held.get(textOf(key));
    for (const held of set ?? []) {
      if (isStill(held.target, vm)) continue;
      set?.delete(held);
      held.end();
    }
    if (set?.size === 0) this.#held.delete(textOf(key));
  }
}

const textOf = ({ namespace, name }: ObjectKey): string => `${namespace}/${name}`;

function isStill(target: DataPlaneTarget, vm: VirtualMachine | undefined): boolean {
  if (!vm) return false;
  // The copy may be behind what the target was looked up from.
  if (BigInt(vm.metadata.resourceVersion) < BigInt(target.resourceVersion)) return true;
  const { metadata, spec, status } = vm;
  return metadata.uid === target.uid && spec?.nodeName === target.nodeName && status?.nodeName === target.nodeName && status.incarnation === target.incarnation;
}
