import { rm } from 'node:fs/promises';
import { DEFAULT_VM_CLASS, type MachineConfig, type StartFrom, type VmMemoryStatus, type VmPageWaits, type VmProcessOutput } from '@corral/contracts';
import { type ProcessExit, type Run, START_DEADLINE_MS } from '@corral/vm-lifecycle';
import { type Logger } from 'pino';
import { type FrozenMoment } from '../frozen/frozen-moment.ts';
import { type HeldBase } from '../bases/base-images.ts';
import { type MachineFolder } from './machine-folder.ts';
import { type MachineEndpoint, type MachineSurroundings } from './machine.surroundings.ts';
import { type Preparation } from './preparation.ts';
import { rehearsalOf } from './rehearsal.ts';
import { type VmProcessHandle } from './vm-process.handle.ts';

/** What a VM process tells that its machine has to decide about. */
export type LifeEvent = Extract<VmProcessOutput, { type: 'AgentAnswered' | 'AgentSilent' | 'GuestPanicked' | 'GuestRebooted' }>;

export type Exit = Pick<ProcessExit, 'exitCode' | 'signal'>;

/** The machine that lives it. */
export interface LifeOwner {
  readonly log: Logger;
  readonly folder: Pick<MachineFolder, 'logPath'>;
  /** Whether this start is still what is wanted. */
  isStarting(life: MachineLife): boolean;
  onEvent(event: LifeEvent): void;
  /** Something that is only to be read has changed. */
  onChange(): void;
  /** Its process is gone by itself, or because somebody ended it. */
  onProcessGone(process: VmProcessHandle, exit: Exit): void;
  /** Exactly once, when nothing of it is left; waits for `settle` before. */
  onEnded(exit: Exit): void;
  /** Leaves the machine's folder whole, now that no process writes to it. */
  settle(): Promise<void>;
}

/** One life of a machine: the process that emulates it, the base it maps, and what the process says of itself. */
export class MachineLife {
  readonly run: Run;
  /** What it began with, where others of this node may begin with the same. */
  readonly moment: FrozenMoment | undefined;
  readonly #around: MachineSurroundings;
  readonly #owner: LifeOwner;
  #process: VmProcessHandle | undefined;
  /** Held from before its process maps it until that has ended. */
  #base: HeldBase | undefined;
  #endpoint: MachineEndpoint | undefined;
  #ended: ProcessExit['ended'];
  #failure: ProcessExit['failure'];
  #isKilled = false;
  #isOver = false;
  /** Since when nobody uses the guest, as its process tells. */
  idleSince: Date | undefined;
  residentBytes: number | undefined;
  /** Where its RAM is, as it said last. */
  memory: VmMemoryStatus | undefined;
  pageWaits: VmPageWaits | undefined;

  constructor(run: Run, moment: FrozenMoment | undefined, around: MachineSurroundings, owner: LifeOwner) {
    this.run = run;
    this.moment = moment;
    this.#around = around;
    this.#owner = owner;
  }

  get process(): VmProcessHandle | undefined {
    return this.#process;
  }

  get endpoint(): MachineEndpoint | undefined {
    return this.#endpoint;
  }

  /** Somebody wanted it to end, and not because it was stuck. */
  get isKilled(): boolean {
    return this.#isKilled;
  }

  /** How it ended beyond what its exit says. */
  get outcome(): Pick<ProcessExit, 'ended' | 'failure'> {
    return { ...(this.#ended ? { ended: this.#ended } : {}), ...(this.#failure ? { failure: this.#failure } : {}) };
  }

  /** Whether the process has started; false where that is not wanted any more. Throws what the process refuses with, and what there is to map. */
  async begin(preparation: Preparation, config: MachineConfig): Promise<boolean> {
    const { pool, bases } = this.#around;
    this.#base = preparation.base && (await bases.hold(preparation.base, { mayBePartial: true }));
    this.#base?.onLost((error) => this.#loseBase(error));
    const from = withBase(preparation.from, this.#base);
    const rehearsal = rehearsalOf(config, { from, startedFrom: preparation.startedFrom });
    const process = await pool.take(this.run.class ?? DEFAULT_VM_CLASS, rehearsal);
    if (!this.#owner.isStarting(this)) {
      process.kill();
      this.#end({});
      return false;
    }
    this.#process = process;
    process.log.writeTo(this.#owner.folder.logPath);
    this.#owner.log.info({ incarnation: this.run.incarnation, pid: process.pid, from: preparation.startedFrom.type }, 'Starting');
    process.listen({
      onEvent: (event) => this.#hear(event),
      onExit: (exit) => void this.#onExit(process, config.socketPath, exit),
    });
    await process.request({ type: 'Start', config, from }, START_DEADLINE_MS);
    this.#endpoint = { incarnation: this.run.incarnation, socketPath: config.socketPath };
    return true;
  }

  /** It could not start. */
  fail(failure: NonNullable<ProcessExit['failure']>): void {
    this.#failure ??= failure;
    if (this.#process) this.#process.kill();
    else this.#end({});
  }

  /** Its guest answers: what it touches of its base from here on is its own doing. */
  isReady(): void {
    if (this.#process?.pid !== undefined) this.#base?.begins(this.#process.pid);
  }

  kill(): void {
    this.#isKilled = this.#process !== undefined;
    this.#process?.kill();
  }

  /** Looks how much memory the process holds. */
  async sample(): Promise<void> {
    this.residentBytes = (await this.#process?.residentBytes()) ?? this.residentBytes;
  }

  /** Part of the RAM it was promised does not come: it must not run on. */
  #loseBase(error: unknown): void {
    this.#owner.log.error({ err: error }, 'The base of a machine could not be fetched');
    this.#ended ??= { reason: 'BaseLost', message: `The memory it was started from could not be fetched: ${(error as Error).message}`.slice(0, 1024) };
    this.#process?.kill();
  }

  #hear(event: Exclude<VmProcessOutput, { type: 'Reply' | 'Waiting' }>): void {
    switch (event.type) {
      case 'Idle':
        this.idleSince = new Date(this.#around.clock.now().getTime() - event.forMs);
        return this.#owner.onChange();
      case 'Active':
        this.idleSince = undefined;
        return this.#owner.onChange();
      case 'Memory':
        this.memory = event.memory;
        this.pageWaits = event.pageWaits;
        return this.#owner.onChange();
      case 'Ended':
        this.#ended = { reason: event.reason, message: event.message.slice(0, 1024) };
        return;
      default:
        return this.#owner.onEvent(event);
    }
  }

  async #onExit(process: VmProcessHandle, socketPath: string, exit: Exit): Promise<void> {
    if (process !== this.#process) return;
    if (!this.#isKilled && !this.#ended) this.#owner.onProcessGone(process, exit);
    this.#process = undefined;
    this.#endpoint = undefined;
    this.idleSince = undefined;
    await rm(socketPath, { force: true }).catch(() => undefined);
    await this.#owner.settle();
    this.#end(exit);
  }

  #end(exit: Exit): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#base?.release();
    this.#base = undefined;
    this.#owner.onEnded(exit);
  }
}

const withBase = (from: StartFrom, held: HeldBase | undefined): StartFrom =>
  from.type !== 'Boot' && held ? { ...from, base: held.base } : from;
