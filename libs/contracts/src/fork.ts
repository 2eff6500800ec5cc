import type { Status } from './problems.ts';
import type { VirtualMachine } from './kinds/virtual-machine.ts';

/** As many machines as one request makes. */
export const MAX_FORKS = 100;

/** The answer to `POST …/virtualmachines/NAME/fork`: what became of each, in the order of their names. */
export interface ForkResult {
  readonly apiVersion: 'corral.dev/v1';
  readonly kind: 'ForkResult';
  readonly metadata: { readonly name: string; readonly namespace: string };
  /** The VirtualMachineSnapshot that holds the moment until they all run. */
  readonly moment: string;
  readonly requested: number;
  readonly created: number;
  readonly items: readonly ForkItem[];
}

/** Code 201 with the machine, or another with why there is none. */
export type ForkItem =
  | { readonly name: string; readonly code: 201; readonly object: VirtualMachine }
  | { readonly name: string; readonly code: number; readonly status: Status };

/** What is sent; nothing of it is needed. */
export interface ForkWish {
  readonly count?: number;
  readonly names?: readonly string[];
  readonly generateName?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
}
