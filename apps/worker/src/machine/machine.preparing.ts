import { DEFAULT_VM_CLASS, type VirtualMachine } from '@corral/contracts';
import { type MachineEvent, type StartOrigin } from '@corral/vm-lifecycle';
import { backoffMs } from '@corral/reconcile';
import { imagePartsOf, type MachineFolder } from './machine-folder.ts';
import { type MachineSurroundings } from './machine.surroundings.ts';
import { type Preparation, Unpreparable } from './preparation.ts';
import { StateLoss } from './state-loss.ts';

const LOST_STATE_MS = 5 * 60_000;
const RETRY = { baseMs: 1_000, maxMs: 15_000 };

/** What came of one try to have everything on this node that a start needs. */
export type Prepared =
  | { readonly preparation: Preparation; readonly event: Extract<MachineEvent, { type: 'PreparationSucceeded' }> }
  | { readonly preparation?: undefined; readonly event: Extract<MachineEvent, { type: 'PreparationFailed' | 'StateLost' }>; readonly cause: unknown };

type Around = Pick<MachineSurroundings, 'preparer' | 'v86Build' | 'clock' | 'lostStateMs'>;

/** One machine's tries to have what its start needs, each later than the one before. */
export class MachinePreparing {
  readonly #around: Around;
  readonly #loss: StateLoss;
  #failures = 0;

  constructor(around: Around) {
    this.#around = around;
    this.#loss = new StateLoss(around.lostStateMs ?? LOST_STATE_MS);
  }

  /** Never rejects. Only what is wanted when it comes counts as a try: the caller says so with `settle`. */
  async try(vm: VirtualMachine, origin: StartOrigin, folder: MachineFolder): Promise<Prepared> {
    const { preparer, v86Build } = this.#around;
    try {
      const preparation = await preparer.prepare(vm, origin, folder);
      const { record, startedFrom } = preparation;
      const vmClass = vm.spec?.class ?? record.class ?? DEFAULT_VM_CLASS;
      return { preparation, event: { type: 'PreparationSucceeded', origin, startedFrom, memoryMiB: record.memoryMiB, v86Build, class: vmClass, imageParts: imagePartsOf(record) } };
    } catch (error) {
      const { reason, message, permanent, cause } = error instanceof Unpreparable ? error : new Unpreparable('PreparationFailed', String(error));
      const at = this.#around.clock.now();
      const lost = this.#loss.given(vm, origin, reason, at);
      if (lost) return { event: { type: 'StateLost', lost, incarnation: vm.status?.incarnation ?? 0, message: `What it was to go on from is nowhere any more: ${message}`.slice(0, 1024), at }, cause };
      const retryAt = new Date(at.getTime() + backoffMs(this.#failures + 1, RETRY));
      return { event: { type: 'PreparationFailed', reason, message, permanent, retryAt }, cause };
    }
  }

  settle({ preparation }: Prepared): void {
    this.#failures = preparation ? 0 : this.#failures + 1;
  }
}
