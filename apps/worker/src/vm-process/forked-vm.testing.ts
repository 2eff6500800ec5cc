import { fork, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecRequest, ExecResult, MachineConfig, StartFrom, VmProcessInput, VmProcessOutput } from '@corral/contracts';
import type { MemoryMode } from '@corral/memory';
import { until } from '@corral/testing';
import { WebSocket } from 'ws';

/** For tests: a real VM process, forked as the node agent does, and its data plane. */
const DEADLINE_MS = 120_000;
type Reply = Extract<VmProcessOutput, { type: 'Reply' }>;
type Unnumbered = VmProcessInput extends infer Input ? (Input extends unknown ? Omit<Input, 'requestId'> : never) : never;
type Exit = { readonly type: 'Exited'; readonly code: number | null; readonly signal: NodeJS.Signals | null };
export type Told = Exclude<VmProcessOutput, { type: 'Reply' }> | Exit;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export class ForkedVm {
  static readonly #all = new Set<ForkedVm>();
  readonly config: MachineConfig;
  readonly told: Told[] = [];
  readonly #child: ChildProcess;
  readonly #replies = new Map<number, (reply: Reply) => void>();
  readonly #listeners = new Set<() => void>();
  readonly #exited: Promise<void>;
  #nextRequestId = 1;

  private constructor(config: MachineConfig, memoryMode: MemoryMode | undefined) {
    this.config = config;
    this.#child = fork(join(import.meta.dirname, 'main.ts'), [], {
      serialization: 'advanced',
      // Closed, as the node agent's.
      env: { MALLOC_ARENA_MAX: '1', ...(memoryMode ? { CORRAL_MEMORY_MODE: memoryMode } : {}) },
      execArgv: ['--conditions=@corral/source', '--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#child.on('message', (output: VmProcessOutput) => {
      if (output.type === 'Reply') this.#replies.get(output.requestId)?.(output);
      else this.#tell(output);
    });
    this.#exited = new Promise((resolve) => {
      this.#child.on('exit', (code, signal) => {
        this.#tell({ type: 'Exited', code, signal });
        resolve();
      });
    });
    ForkedVm.#all.add(this);
  }

  /** Ends what failed tests left. */
  static async disposeAll(): Promise<void> {
    for (const vm of ForkedVm.#all) await vm.dispose();
  }

  /** A process that waits for Start, with a folder of its own. */
  static async fork(config: Omit<MachineConfig, 'directory' | 'socketPath'>, memoryMode?: MemoryMode): Promise<ForkedVm> {
    const directory = await mkdtemp(join(tmpdir(), 'corral-vm-'));
    const vm = new ForkedVm({ ...config, directory, socketPath: join(directory, 'socket') }, memoryMode);
    await vm.until('Waiting');
    return vm;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async start(from: StartFrom): Promise<void> {
    const reply = await this.send({ type: 'Start', config: this.config, from });
    if (!reply.ok) throw new Error(`${reply.reason}: ${reply.message}`);
  }

  send(input: Unnumbered): Promise<Reply> {
    const requestId = this.#nextRequestId;
    this.#nextRequestId += 1;
    return new Promise((resolve, reject) => {
      this.#replies.set(requestId, resolve);
      void this.#exited.then(() => reject(new Error(`it exited: ${JSON.stringify(this.told)}`)));
      this.#child.send({ ...input, requestId });
    });
  }

  /** The next message of a type, also when it was told already since `from`. */
  until<T extends Told['type']>(type: T, from = 0): Promise<Extract<Told, { type: T }>> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = this.told.slice(from).find((told): told is Extract<Told, { type: T }> => told.type === type);
        if (!found) return;
        clearTimeout(deadline);
        this.#listeners.delete(look);
        resolve(found);
      };
      const deadline = setTimeout(() => {
        this.#listeners.delete(look);
        reject(new Error(`no ${type} within ${DEADLINE_MS} ms; told: ${JSON.stringify(this.told)}`));
      }, DEADLINE_MS);
      this.#listeners.add(look);
      look();
    });
  }

  http(method: string, path: string, body?: string | Uint8Array): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const sent = request({ socketPath: this.config.socketPath, method, path }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }));
        response.on('error', reject);
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }

  async exec(command: string | readonly string[], options: Partial<ExecRequest> = {}): Promise<ExecResult> {
    const argv = typeof command === 'string' ? ['sh', '-c', command] : command;
    const { status, body } = await this.http('POST', '/exec', JSON.stringify({ ...options, command: argv }));
    if (status !== 200) throw new Error(`exec: ${status} ${body.toString()}`);
    return JSON.parse(body.toString()) as ExecResult;
  }

  socket(path: string, protocols: string[] = []): Promise<VmSocket> {
    return VmSocket.open(`ws+unix://${this.config.socketPath}:${path}`, protocols);
  }

  /** Ends the process as the node agent's death would, and removes its folder. */
  async dispose(): Promise<void> {
    ForkedVm.#all.delete(this);
    if (this.#child.connected) this.#child.disconnect();
    if (!this.told.some(({ type }) => type === 'Exited')) await this.until('Exited');
    await rm(this.config.directory, { recursive: true, force: true });
  }

  async emptyFolder(name: string): Promise<string> {
    const folder = join(this.config.directory, name);
    await mkdir(folder);
    return folder;
  }

  #tell(told: Told): void {
    this.told.push(told);
    for (const listener of this.#listeners) listener();
  }
}

/** A WebSocket that remembers what it received. */
export class VmSocket {
  readonly received: Buffer[] = [];
  readonly closed: Promise<number>;
  readonly #socket: WebSocket;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => this.received.push(data));
    this.closed = new Promise((resolve) => socket.on('close', resolve));
  }

  static open(url: string, protocols: string[]): Promise<VmSocket> {
    const socket = new WebSocket(url, protocols);
    const opened = new VmSocket(socket);
    return new Promise((resolve, reject) => {
      socket.on('open', () => resolve(opened));
      socket.on('error', reject);
    });
  }

  get protocol(): string {
    return this.#socket.protocol;
  }

  send(bytes: Uint8Array): void {
    this.#socket.send(bytes);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  /** What came on one channel of a Kubernetes exec socket. */
  channel(number: number): string {
    return Buffer.concat(this.received.filter((message) => message[0] === number).map((message) => message.subarray(1))).toString();
  }

  text(): string {
    return Buffer.concat(this.received).toString('latin1');
  }
}

/** Resolves when the condition holds; fails loudly when it does not in time. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>, deadlineMs = 20_000): Promise<void> {
  await until(holds, { timeoutMs: deadlineMs, what, everyMs: 25 });
}
