import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Deadline } from '@corral/testing';
import { WebSocket } from 'ws';
import { stack } from './stack.ts';

/** The API as a client sees it: plain HTTP, nothing shared with the server's code. */
export interface ApiAnswer<T = any> { // eslint-disable-line @typescript-eslint/no-explicit-any -- answers are whatever the wire says
  readonly status: number;
  readonly body: T;
}

export const VMS = '/apis/corral.dev/v1/namespaces/default/virtualmachines';
export const SNAPSHOTS = '/apis/corral.dev/v1/namespaces/default/virtualmachinesnapshots';
export const IMAGES = '/apis/corral.dev/v1/virtualmachineimages';

export const uniqueName = (prefix: string): string => `${prefix}-${randomBytes(4).toString('hex')}`;

export async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<ApiAnswer> {
  const { url, adminToken } = stack();
  const response = await fetch(url + path, {
    method,
    headers: {
      authorization: `Bearer ${adminToken}`,
      ...(body === undefined ? {} : { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: body instanceof Uint8Array ? Buffer.from(body) : JSON.stringify(body) }),
    signal: AbortSignal.timeout(120_000),
  });
  const type = response.headers.get('content-type') ?? '';
  return { status: response.status, body: type.includes('json') ? await response.json() : Buffer.from(await response.arrayBuffer()) };
}

export async function createVm(spec: object, name = uniqueName('vm')): Promise<string> {
  const answer = await call('POST', VMS, { apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: { name, namespace: 'default' }, spec });
  if (answer.status !== 201) throw new Error(`create answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  return name;
}

/** Waits by the API's own long poll; throws with the object's conditions when the time is over. */
export async function waitFor(path: string, condition = 'Ready', timeoutSeconds = 60): Promise<void> {
  const answer = await call('GET', `${path}/wait?for=condition=${condition}&timeoutSeconds=${timeoutSeconds}`);
  if (answer.status === 200) return;
  const object = await call('GET', path);
  throw new Error(`${path} is not ${condition} after ${timeoutSeconds} s (${answer.status}): ${JSON.stringify(object.body.status)}`);
}

export async function runningVm(spec: object = { source: { image: 'linux-minimal' } }): Promise<string> {
  const name = await createVm(spec);
  await waitFor(`${VMS}/${name}`);
  return name;
}

export async function deleteVm(name: string): Promise<void> {
  await call('DELETE', `${VMS}/${name}`);
}

export interface Exec {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

export async function exec(vm: string, command: string[] | string, options: object = {}): Promise<Exec> {
  const answer = await call('POST', `${VMS}/${vm}/exec`, { command: typeof command === 'string' ? ['sh', '-c', command] : command, ...options });
  if (answer.status !== 200) throw new Error(`exec answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  return answer.body as Exec;
}

export async function snapshotOf(vm: string): Promise<string> {
  const name = uniqueName('snap');
  const created = await call('POST', SNAPSHOTS, {
    apiVersion: 'corral.dev/v1', kind: 'VirtualMachineSnapshot', metadata: { name, namespace: 'default' }, spec: { virtualMachine: vm },
  });
  if (created.status !== 201) throw new Error(`snapshot answered ${created.status}: ${JSON.stringify(created.body)}`);
  await waitFor(`${SNAPSHOTS}/${name}`, 'Ready', 120);
  return name;
}

export async function statusOf(vm: string): Promise<any> { // eslint-disable-line @typescript-eslint/no-explicit-any -- as on the wire
  return (await call('GET', `${VMS}/${vm}`)).body.status;
}

/** Asks again until the answer satisfies; never a fixed sleep. */
export async function eventually<T>(what: string, ask: () => Promise<T>, satisfied: (answer: T) => boolean, deadlineMs = 60_000): Promise<T> {
  const deadline = new Deadline(deadlineMs);
  for (;;) {
    const answer = await ask();
    if (satisfied(answer)) return answer;
    if (deadline.isOver) throw new Error(`not within ${deadline.waitedMs} ms: ${what}; last answer ${JSON.stringify(answer)}`);
    await delay(50);
  }
}

/** A terminal on the machine's serial line, as xterm.js would hold it. */
export class SerialTerminal {
  #output = '';
  readonly #socket: WebSocket;
  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => (this.#output += data.toString('latin1')));
  }

  static async open(vm: string, replayBytes = 65_536): Promise<SerialTerminal> {
    const { url, adminToken } = stack();
    const socket = new WebSocket(`${url.replace('http', 'ws')}${VMS}/${vm}/serial?replay=${replayBytes}`, {
      headers: { authorization: `Bearer ${adminToken}` },
    });
    const terminal = new SerialTerminal(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('open', () => resolve());
      socket.once('error', reject);
    });
    return terminal;
  }

  type(text: string): void {
    this.#socket.send(Buffer.from(text));
  }

  get output(): string {
    return this.#output;
  }

  see(pattern: RegExp, deadlineMs = 30_000): Promise<string> {
    return eventually(`${pattern} on the serial line`, async () => this.#output, (text) => pattern.test(text), deadlineMs);
  }

  close(): void {
    this.#socket.close();
  }
}
