import { request as httpRequest, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { finished, type Readable } from 'node:stream';
import { Inject, Injectable } from '@nestjs/common';
import {
  dataPlanePath,
  findCondition,
  nodes,
  Problem,
  qualifiedResource,
  virtualMachines,
  type DataPlaneOperation,
  type ObjectClient,
  type VirtualMachine,
  type Node,
  type VmPhase,
} from '@corral/contracts';
import { WebSocket } from 'ws';
import { problemOf } from '@corral/client';
import { isDormant } from '@corral/vm-lifecycle';
import { DataPlaneTokens } from '../../platform/auth/data-plane-tokens.ts';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { StoredScreens, type StoredScreen } from '../screens/stored-screens.ts';
import { Hibernations } from '../hibernation/hibernations.ts';

/** While these last there is a screen and a serial line to look at: a panicked guest keeps both until it is started again. */
export const SHOWN: readonly VmPhase[] = ['Running', 'Paused', 'Failed'];

/** A machine that sleeps or wakes up has a last screen. */
const DORMANT: readonly VmPhase[] = ['Hibernated', 'Starting'];

/** Where a machine's data plane is, for the incarnation that runs now. */
export interface DataPlaneTarget {
  readonly namespace: string;
  readonly name: string;
  readonly nodeName: string;
  readonly baseUrl: string;
  readonly uid: string;
  readonly incarnation: number;
  /** Of the machine's object when it was looked up. */
  readonly resourceVersion: string;
}

export interface DataPlaneRequest {
  readonly method: string;
  /** The query, as the caller wrote it. */
  readonly query: URLSearchParams;
  readonly headers: OutgoingHttpHeaders;
  readonly body?: Readable | string;
  /** Without a byte either way for this long before it answers, the node is taken for gone. One minute by default. */
  readonly silenceMs?: number;
}

const CONNECT_TIMEOUT_MS = 5_000;
const SILENCE_MS = 60_000;
/** Once it answers, a slow reader may make it wait. */
const STALL_MS = 10 * 60_000;
const MAX_ERROR_BODY_BYTES = 64 * 1024;
const RETRY_AFTER_S = 2;

/** Finds machines and speaks to the data plane of their nodes. Carries bytes; decides nothing about them. */
@Injectable()
export class DataPlaneClient {
  constructor(
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(DataPlaneTokens) private readonly tokens: DataPlaneTokens,
    @Inject(Hibernations) private readonly hibernations: Hibernations,
    @Inject(StoredScreens) private readonly screens: StoredScreens,
  ) {}

  /**
   * A machine that hibernates is woken, and waited for. Refusals: `object.not-found`; `vm.not-running` unless the machine's phase is
   * among `phases`; `node.unreachable`; those of waking it.
   */
  async find(namespace: string, name: string, phases: readonly VmPhase[]): Promise<DataPlaneTarget> {
    const found = await this.objects.get(virtualMachines, namespace, name);
    if (!found || !isDormant(found)) return this.#targetOf(found, name, namespace, phases);
    await this.hibernations.awaken(found);
    return this.#targetOf(await this.objects.get(virtualMachines, namespace, name), name, namespace, phases);
  }

  /** Where a machine can be looked at as it is: one that hibernates sleeps on. */
  async findAsItIs(namespace: string, name: string, phases: readonly VmPhase[]): Promise<DataPlaneTarget> {
    const vm = await this.objects.get(virtualMachines, namespace, name);
    return this.#targetOf(vm, name, namespace, vm && isDormant(vm) ? [...phases, ...DORMANT] : phases);
  }

  /** What a machine showed last that is on no node, or whose node is lost; undefined where its node can be asked, or nothing was kept. */
  async lastScreenOf(namespace: string, name: string): Promise<StoredScreen | undefined> {
    const vm = await this.objects.get(virtualMachines, namespace, name);
    if (!vm || vm.metadata.deletionTimestamp !== undefined) return undefined;
    const nodeName = vm.spec?.nodeName;
    const node = nodeName === undefined || nodeName !== vm.status?.nodeName ? undefined : await this.objects.get(nodes, undefined, nodeName);
    return node && !isLost(node) ? undefined : this.screens.ofMachine(vm);
  }

  /** Whether what the target stood for has fallen asleep since: then the node refused only because nobody had asked to wake it. */
  isDormant({ namespace, name, uid }: DataPlaneTarget): Promise<boolean> {
    return this.hibernations.isDormant(namespace, name, uid);
  }

  /** Whether what the target stood for goes on later: it sleeps, or goes back to a snapshot. */
  willGoOn({ namespace, name, uid }: DataPlaneTarget): Promise<boolean> {
    return this.hibernations.willGoOn(namespace, name, uid);
  }

  /** Whether the machine is about to sleep: what its process is told now may be lost with it. */
  isFallingAsleep({ namespace, name, uid }: DataPlaneTarget): boolean {
    return this.hibernations.isFallingAsleep(namespace, name, uid);
  }

  /** Asks that the machine wake up, and waits for nothing. Refusals: those of waking it. */
  async wake({ namespace, name }: DataPlaneTarget): Promise<void> {
    await this.hibernations.wake(namespace, name);
  }

  /** Where the machine is once somebody has woken it, whoever that is. Refuses when it is another machine by then. */
  async findAwake({ namespace, name, uid }: DataPlaneTarget, phases: readonly VmPhase[], signal: AbortSignal): Promise<DataPlaneTarget> {
    await this.hibernations.untilAwake(namespace, name, uid, signal);
    const target = await this.findAsItIs(namespace, name, phases);
    if (target.uid !== uid) throw new Problem('object.not-found', `virtual machine "${name}" is another by now`);
    return target;
  }

  async #targetOf(vm: VirtualMachine | undefined, name: string, namespace: string, phases: readonly VmPhase[]): Promise<DataPlaneTarget> {
    const details = { name, group: virtualMachines.group, kind: virtualMachines.plural };
    if (!vm) throw new Problem('object.not-found', `${qualifiedResource(virtualMachines)} "${name}" not found`, { details });
    const phase = vm.metadata.deletionTimestamp === undefined ? (vm.status?.phase ?? 'Pending') : 'Terminating';
    const { nodeName, incarnation } = vm.status ?? {};
    // A machine that has left its node, or not yet come to another, runs nowhere whatever was last said of it.
    const isBound = nodeName !== undefined && nodeName === vm.spec?.nodeName;
    if (!phases.includes(phase) || !isBound || incarnation === undefined) {
      throw new Problem('vm.not-running', `virtual machine "${name}" is ${phase}, not ${phases.join(' or ')}`, { details: { ...details, uid: vm.metadata.uid, causes: [{ reason: phase, message: `phase is ${phase}`, field: 'status.phase' }] } });
    }
    const node = await this.objects.get(nodes, undefined, nodeName);
    const baseUrl = node?.status?.corral?.dataPlaneUrl;
    // A node that hangs still takes connections; its callers should not hang with it.
    if (!baseUrl || isLost(node)) throw unreachable(nodeName, undefined);
    return { namespace, name, nodeName, baseUrl, uid: vm.metadata.uid, incarnation, resourceVersion: vm.metadata.resourceVersion };
  }

  /** Sends the request and gives the answer as soon as its head is there, whatever its status. The signal ends both directions. */
  async request(target: DataPlaneTarget, operation: DataPlaneOperation, request: DataPlaneRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const url = this.#urlOf(target, operation, request.query);
    const headers = { ...request.headers, authorization: `Bearer ${await this.#token(target, operation)}` };
    return new Promise((resolve, reject) => {
      const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
      const outgoing = send(url, { method: request.method, headers, signal, timeout: request.silenceMs ?? SILENCE_MS });
      failWhenNotConnected(outgoing);
      outgoing.once('response', (answer) => {
        outgoing.setTimeout(STALL_MS);
        resolve(answer);
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error('the data plane fell silent')));
      outgoing.once('error', (error) => reject(unreachable(target.nodeName, error)));
      sendBody(outgoing, request.body);
    });
  }

  /** Opens the machine's WebSocket and resolves once it is open. A refused handshake is the node's own Problem. */
  async connect(target: DataPlaneTarget, operation: DataPlaneOperation, query: URLSearchParams, subprotocols: readonly string[], maxMessageBytes: number): Promise<WebSocket> {
    const url = this.#urlOf(target, operation, query);
    const token = await this.#token(target, operation);
    const socket = new WebSocket(url.href.replace(/^http/, 'ws'), [...subprotocols], {
      headers: { authorization: `Bearer ${token}` },
      handshakeTimeout: CONNECT_TIMEOUT_MS,
      perMessageDeflate: false,
      maxPayload: maxMessageBytes,
      followRedirects: false,
    });
    // Nothing may arrive before the other side is there to take it.
    socket.once('open', () => socket.pause());
    return new Promise((resolve, reject) => {
      socket.once('open', () => resolve(socket));
      socket.once('error', (error) => reject(unreachable(target.nodeName, error)));
      socket.once('unexpected-response', (_request, response) => {
        readProblem(response).then(reject, (error: unknown) => reject(unreachable(target.nodeName, error)));
      });
    });
  }

  #urlOf(target: DataPlaneTarget, operation: DataPlaneOperation, query: URLSearchParams): URL {
    const url = new URL(dataPlanePath(target.uid, target.incarnation, operation), target.baseUrl);
    // Credentials of the caller end here.
    for (const [name, value] of query) if (name !== 'ticket') url.searchParams.append(name, value);
    return url;
  }

  #token({ nodeName, uid, incarnation }: DataPlaneTarget, operation: DataPlaneOperation): Promise<string> {
    return this.tokens.issue(nodeName, { uid, incarnation, operation });
  }
}

/** What is said about the bytes. Nothing else: a cookie, say, would be the guest's word under the API's name. */
const CARRIED_HEADERS = new Set(['content-type', 'content-length', 'content-disposition', 'last-modified', 'retry-after']);

/**
 * The headers under which a guest's answer goes on to the caller. The console lives at the same origin, so a browser is
 * told to run nothing that a guest sends, whatever it calls itself.
 */
export function answerHeaders(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const carried = Object.entries(headers).filter(([name]) => CARRIED_HEADERS.has(name));
  return { ...Object.fromEntries(carried), 'content-security-policy': "sandbox; default-src 'none'", 'cache-control': 'no-store' };
}

const isLost = (node: Node | undefined): boolean => findCondition(node?.status?.conditions, 'Ready')?.status === 'Unknown';

function sendBody(outgoing: ClientRequest, body: Readable | string | undefined): void {
  if (body === undefined || typeof body === 'string') {
    outgoing.end(body);
    return;
  }
  body.pipe(outgoing);
  // A caller who goes away in the middle of an upload must not look like one who finished it.
  finished(body, { writable: false }, (error) => {
    if (error) outgoing.destroy(error);
  });
}

/** A node that is gone should cost seconds, not the minutes TCP takes to find out. */
function failWhenNotConnected(outgoing: ClientRequest): void {
  outgoing.once('socket', (socket) => {
    if (!socket.connecting) return;
    const timer = setTimeout(() => outgoing.destroy(new Error('connecting took too long')), CONNECT_TIMEOUT_MS);
    socket.once('connect', () => clearTimeout(timer));
    socket.once('close', () => clearTimeout(timer));
  });
}

async function readProblem(response: IncomingMessage): Promise<Problem> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_ERROR_BODY_BYTES) break;
    chunks.push(chunk);
  }
  return problemOf(response.statusCode ?? 502, parseJson(Buffer.concat(chunks).toString('utf8')));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function unreachable(nodeName: string, cause: unknown): Problem {
  return new Problem('node.unreachable', `node "${nodeName}" does not answer; try again`, { cause, details: { retryAfterSeconds: RETRY_AFTER_S } });
}
