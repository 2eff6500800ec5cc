import { type ChildProcess, fork } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { assertNever } from '@corral/base';
import {
  type FrozenTaken,
  type MachineConfig,
  type SnapshotTaken,
  type VmClass,
  type VmProcessFailure,
  type VmProcessInput,
  type VmProcessOutput,
} from '@corral/contracts';
import { type MemoryMode } from '@corral/memory';
import { BoundedLog } from './bounded-log.ts';
import { parseMessage } from './vm-process.messages.ts';

/** A refusal of the VM process, in its own words. */
export class VmProcessRefusal extends Error {
  override readonly name = 'VmProcessRefusal';
  readonly reason: VmProcessFailure;
  constructor(reason: VmProcessFailure, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** What a VM process says without being asked, and its end. */
export interface VmProcessListener {
  onEvent(event: Exclude<VmProcessOutput, { type: 'Reply' | 'Waiting' }>): void;
  onExit(exit: { readonly exitCode?: number; readonly signal?: string }): void;
}

type Request = VmProcessInput extends infer Input
  ? Input extends { requestId: number }
    ? Omit<Input, 'requestId'>
    : never
  : never;

/** What was asked for, where that was something to be taken. */
export interface VmProcessAnswer {
  readonly snapshot?: SnapshotTaken;
  readonly frozen?: FrozenTaken;
}

interface PendingRequest {
  readonly resolve: (answer: VmProcessAnswer) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export interface VmProcessOptions {
  /** Path of the program that emulates one machine. */
  readonly entryPath: string;
  /** Its working directory, its own. */
  readonly directory: string;
  readonly vmClass: VmClass;
  /** What its machine will have: with it the process warms itself up before it waits. */
  readonly firmware?: MachineConfig['firmware'];
  /** The best memory mode it may use; by default the best the host has. */
  readonly memoryMode?: MemoryMode;
}

/** What the process may know of the world outside: nothing but this. One malloc arena instead of one per thread saves tens of megabytes. */
const CLOSED_ENVIRONMENT = { MALLOC_ARENA_MAX: '1' };
/** A small young generation: an emulator allocates little, and what it keeps lives long. */
const V8_FLAGS = ['--max-semi-space-size=1', '--disable-warning=ExperimentalWarning'];
/** Docs: adr/0017-classes-of-machines.md. */
const CLASS_FLAGS: Readonly<Record<VmClass, readonly string[]>> = { small: ['--liftoff-only'], compute: [] };

const DRAIN_DEADLINE_MS = 1_000;

/** One VM process: requests with deadlines, events, and its end, which is told exactly once. */
export class VmProcessHandle {
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, PendingRequest>();
  readonly #waiting = Promise.withResolvers<undefined>();
  readonly #exited = Promise.withResolvers<undefined>();
  readonly directory: string;
  readonly log = new BoundedLog();
  #requests = 0;
  #listener: VmProcessListener | undefined;
  #exit: { readonly exitCode?: number; readonly signal?: string } | undefined;

  constructor({ entryPath, directory, vmClass, firmware, memoryMode }: VmProcessOptions) {
    this.directory = directory;
    this.#child = fork(entryPath, firmware ? [firmware.biosPath, firmware.vgaBiosPath] : [], {
      cwd: directory,
      env: { ...CLOSED_ENVIRONMENT, ...(memoryMode ? { CORRAL_MEMORY_MODE: memoryMode } : {}) },
      execArgv: [...V8_FLAGS, ...CLASS_FLAGS[vmClass]],
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // Out of the terminal's process group: Ctrl-C is for the agent, which suspends its machines first.
      detached: true,
    });
    this.#waiting.promise.catch(() => undefined);
    if (this.#child.stdout) this.log.follow(this.#child.stdout);
    if (this.#child.stderr) this.log.follow(this.#child.stderr);
    this.#child.on('message', (message) => {
      const known = parseMessage(message);
      if (known) this.#receive(known);
      // A process that no longer speaks the protocol is not ours any more.
      else this.kill();
    });
    this.#child.on('error', () => this.#end({}));
    this.#child.on(
      'exit',
      (exitCode, signal) =>
        void this.#drain({ ...(exitCode === null ? {} : { exitCode }), ...(signal === null ? {} : { signal }) }),
    );
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get hasExited(): boolean {
    return this.#exit !== undefined;
  }

  /** Resolves when the process can take a Start; rejects when it ends before. */
  waiting(): Promise<undefined> {
    return this.#waiting.promise;
  }

  exited(): Promise<undefined> {
    return this.#exited.promise;
  }

  /** Hears every event from now on, and the end, also when that was before. */
  listen(listener: VmProcessListener): void {
    this.#listener = listener;
    if (this.#exit) listener.onExit(this.#exit);
  }

  /** Resolves with the answer; rejects with a VmProcessRefusal, or an Error when the deadline passes or the process ends. */
  request(request: Request, deadlineMs: number): Promise<VmProcessAnswer> {
    const requestId = ++this.#requests;
    return new Promise((resolve, reject) => {
      if (this.#exit) return reject(new Error('The VM process has ended'));
      const timer = setTimeout(() => {
        this.#pending.delete(requestId);
        reject(new Error(`The VM process did not answer ${request.type} within ${deadlineMs} ms`));
      }, deadlineMs);
      this.#pending.set(requestId, { resolve, reject, timer });
      this.#child.send({ ...request, requestId }, (error) => {
        if (error) this.#settle(requestId, (pending) => pending.reject(error));
      });
    });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Bytes resident; undefined when the process is gone or the host does not say. Source: proc_pid_smaps(5). */
  async residentBytes(): Promise<number | undefined> {
    if (this.pid === undefined || this.#exit) return undefined;
    const text = await readFile(`/proc/${this.pid}/smaps_rollup`, 'utf8').catch(() => '');
    const match = /^Rss:\s+(\d+) kB$/m.exec(text);
    return match ? Number(match[1]) * 1024 : undefined;
  }

  #receive(message: VmProcessOutput): void {
    switch (message.type) {
      case 'Waiting':
        return this.#waiting.resolve(undefined);
      case 'Reply':
        return this.#settle(message.requestId, (pending) => {
          if (message.ok) pending.resolve({ ...(message.snapshot ? { snapshot: message.snapshot } : {}), ...(message.frozen ? { frozen: message.frozen } : {}) });
          else pending.reject(new VmProcessRefusal(message.reason, message.message));
        });
      case 'AgentAnswered':
      case 'AgentSilent':
      case 'Idle':
      case 'Active':
      case 'GuestPanicked':
      case 'GuestRebooted':
      case 'Memory':
      case 'Ended':
        return this.#listener?.onEvent(message);
      default:
        assertNever(message, 'message of a VM process');
    }
  }

  #settle(requestId: number, how: (pending: PendingRequest) => void): void {
    const pending = this.#pending.get(requestId);
    if (!pending) return;
    this.#pending.delete(requestId);
    clearTimeout(pending.timer);
    how(pending);
  }

  /** The last words of a process may still be in the channel when its end is known. */
  async #drain(exit: { readonly exitCode?: number; readonly signal?: string }): Promise<void> {
    if (this.#child.connected) {
      const drained = Promise.withResolvers<undefined>();
      this.#child.once('disconnect', () => drained.resolve(undefined));
      const timer = setTimeout(() => drained.resolve(undefined), DRAIN_DEADLINE_MS);
      await drained.promise;
      clearTimeout(timer);
    }
    this.#end(exit);
  }

  #end(exit: { readonly exitCode?: number; readonly signal?: string }): void {
    if (this.#exit) return;
    this.#exit = exit;
    const gone = new Error('The VM process has ended');
    for (const requestId of [...this.#pending.keys()]) this.#settle(requestId, (pending) => pending.reject(gone));
    this.#waiting.reject(gone);
    this.#exited.resolve(undefined);
    this.log.close();
    this.#listener?.onExit(exit);
  }
}
