import { apiPath, virtualMachines, type ForkResult, type ForkWish, type ExecRequest, type ExecResult, type FileEntry, type FileList, type InputRequest } from '@corral/contracts';
import type { WebSocket } from 'ws';
import { ChannelStream, type CommandOutput } from './channel-stream.ts';
import type { Connection } from './connection.ts';
import type { VirtualMachine } from './openapi/resources.ts';

export interface CommandOptions {
  readonly command: readonly string[];
  readonly stdin?: boolean;
  /** A terminal: stderr is part of stdout. */
  readonly tty?: boolean;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const SUBPROTOCOL = 'v5.channel.k8s.io';
const EXEC_GRACE_MS = 45_000;
const DEFAULT_EXEC_SECONDS = 60;

/** What can be done with a machine and its guest. */
export class MachineClient {
  readonly #connection: Connection;
  readonly #namespace: string;
  readonly #name: string;

  constructor(connection: Connection, namespace: string, name: string) {
    this.#connection = connection;
    this.#namespace = namespace;
    this.#name = name;
  }

  /** Makes machines that go on from where this one is now; the answer says what became of each. Safe to send again with the same key. */
  fork(wish: ForkWish, { idempotencyKey }: { readonly idempotencyKey?: string } = {}): Promise<ForkResult> {
    const headers = idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey };
    return this.#connection.json({ method: 'POST', path: this.#path('fork'), headers, body: wish });
  }

  /** Runs a command to its end and answers with its output; a failing command is an answer, with its exit code. */
  exec(request: Partial<ExecRequest> & Pick<ExecRequest, 'command'>): Promise<ExecResult> {
    const deadlineMs = (request.timeoutSeconds ?? DEFAULT_EXEC_SECONDS) * 1_000 + EXEC_GRACE_MS;
    return this.#connection.json({ method: 'POST', path: this.#path('exec'), body: request }, deadlineMs);
  }

  /** Starts a command and stays connected to it. */
  async stream({ command, stdin = false, tty = false, cwd, env = {} }: CommandOptions, output: CommandOutput): Promise<ChannelStream> {
    const query = {
      command,
      stdin: String(stdin),
      stdout: 'true',
      stderr: String(!tty),
      tty: String(tty),
      cwd,
      env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    };
    return new ChannelStream(await this.#connection.openSocket(this.#path('exec'), query, [SUBPROTOCOL]), output);
  }

  /** The serial console, as binary messages both ways; what was said before comes first. */
  serial(replayBytes: number): Promise<WebSocket> {
    return this.#connection.openSocket(this.#path('serial'), { replay: String(replayBytes) });
  }

  /** What was said on the serial console lately. */
  async serialTail(signal: AbortSignal): Promise<Uint8Array> {
    const response = await this.#connection.open({ method: 'GET', path: this.#path('serial'), headers: { accept: '*/*' } }, signal);
    return new Uint8Array(await response.arrayBuffer());
  }

  async readFile(path: string, signal: AbortSignal): Promise<{ readonly bytes: ReadableStream<Uint8Array>; readonly sizeBytes: number | undefined }> {
    const response = await this.#connection.open({ method: 'GET', path: this.#path('files'), query: { path }, headers: { accept: '*/*' } }, signal);
    const length = response.headers.get('content-length');
    return { bytes: response.body ?? new ReadableStream(), sizeBytes: length === null ? undefined : Number(length) };
  }

  /** `mode` in octal, e.g. `0644`. */
  async writeFile(path: string, content: ReadableStream<Uint8Array> | Uint8Array, options: { readonly mode?: string; readonly signal: AbortSignal }): Promise<FileEntry> {
    const request = {
      method: 'PUT',
      path: this.#path('files'),
      query: { path, mode: options.mode },
      headers: { 'content-type': 'application/octet-stream' },
      content,
    } as const;
    const response = await this.#connection.open(request, options.signal);
    return (await response.json()) as FileEntry;
  }

  stat(path: string): Promise<FileEntry> {
    return this.#connection.json({ method: 'GET', path: this.#path('files'), query: { path, stat: 'true' } });
  }

  listFiles(path: string): Promise<FileList> {
    return this.#connection.json({ method: 'GET', path: this.#path('files'), query: { path, list: 'true' } });
  }

  async deleteFile(path: string): Promise<void> {
    await this.#connection.json({ method: 'DELETE', path: this.#path('files'), query: { path } });
  }

  /** PNG. */
  async screenshot(signal: AbortSignal): Promise<Uint8Array> {
    const response = await this.#connection.open({ method: 'GET', path: this.#path('screenshot'), headers: { accept: 'image/png' } }, signal);
    return new Uint8Array(await response.arrayBuffer());
  }

  async input(input: InputRequest): Promise<void> {
    await this.#connection.json({ method: 'POST', path: this.#path('input'), body: input });
  }

  /** Writes it out whole and ends its process; answers once that was written down. */
  hibernate(): Promise<VirtualMachine> {
    return this.#connection.json({ method: 'POST', path: this.#path('hibernate') });
  }

  /** Wakes it when it hibernates; answers once that was written down. */
  wake(): Promise<VirtualMachine> {
    return this.#connection.json({ method: 'POST', path: this.#path('wake') });
  }

  #path(operation: string): string {
    return apiPath(virtualMachines, this.#namespace, this.#name, operation);
  }
}
