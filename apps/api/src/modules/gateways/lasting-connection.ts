import { type DataPlaneOperation, type VmPhase } from '@corral/contracts';
import { WebSocket, type RawData } from 'ws';
import { carry, closeWith, keepAlive } from './carry-socket.ts';
import type { DataPlaneClient, DataPlaneTarget } from './data-plane.client.ts';
import type { OpenTargets } from './open-targets.ts';

/** Typed ahead to a machine that wakes up; beyond it the client is not read. */
const MAX_WAITING_BYTES = 64 * 1024;
/** Source: RFC 6455, 7.4.1 and its registry: the service goes on elsewhere, come again. */
const SERVICE_RESTART = 1012;

export interface LastingWish {
  readonly operation: DataPlaneOperation;
  readonly phases: readonly VmPhase[];
  readonly maxMessageBytes: number;
}

/**
 * A client's WebSocket that outlives its machine's sleep: while the machine hibernates nothing comes, what is sent wakes it, and
 * then the same connection goes on. It outlives a rollback likewise. Any other end of an incarnation ends it.
 */
export class LastingConnection {
  readonly #client: WebSocket;
  readonly #dataPlane: DataPlaneClient;
  readonly #targets: OpenTargets;
  readonly #wish: LastingWish;
  readonly #over = new AbortController();
  #upstream: WebSocket | undefined;
  /** Which life of the machine is at the other end. */
  #incarnation: number | undefined;
  #release: () => void = () => undefined;
  #waiting: { readonly data: RawData; readonly binary: boolean }[] = [];
  #waitingBytes = 0;

  constructor(client: WebSocket, dataPlane: DataPlaneClient, targets: OpenTargets, wish: LastingWish) {
    this.#client = client;
    this.#dataPlane = dataPlane;
    this.#targets = targets;
    this.#wish = wish;
  }

  start(target: DataPlaneTarget, upstream: WebSocket): void {
    const client = this.#client;
    client.on('message', (data, binary) => this.#send(target, data, binary));
    client.once('error', () => client.terminate());
    client.once('close', (code, reason) => {
      this.#over.abort();
      this.#release();
      if (this.#upstream) closeWith(this.#upstream, code, reason);
    });
    keepAlive(client);
    this.#attach(target, upstream);
  }

  #attach(target: DataPlaneTarget, upstream: WebSocket): void {
    this.#upstream = upstream;
    this.#incarnation = target.incarnation;
    carry(upstream, this.#client, (code, reason) => void this.#lost(target, upstream, code, reason));
    keepAlive(upstream);
    this.#release = this.#targets.hold(target, () => {
      upstream.terminate();
      void this.#lost(target, upstream, SERVICE_RESTART, Buffer.from('the machine left its node or was started anew'));
    });
    this.#sendWaiting(upstream);
    upstream.resume();
  }

  #sendWaiting(upstream: WebSocket): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const { data, binary } of waiting) upstream.send(data, { binary });
    this.#client.resume();
  }

  /** The incarnation's side has ended: for the night, to go on from an earlier moment, or for good. */
  async #lost(target: DataPlaneTarget, upstream: WebSocket, code: number, reason: Buffer): Promise<void> {
    if (this.#upstream !== upstream) return;
    this.#upstream = undefined;
    this.#release();
    try {
      if (!(await this.#dataPlane.willGoOn(target))) return closeWith(this.#client, code, reason);
      // What was typed while that became clear.
      if (this.#waiting.length > 0) this.#wake(target);
      const next = await this.#dataPlane.findAwake(target, this.#wish.phases, this.#over.signal);
      const { operation, maxMessageBytes } = this.#wish;
      const again = await this.#dataPlane.connect(next, operation, new URLSearchParams({ from: 'restore' }), [], maxMessageBytes);
      if (this.#client.readyState !== WebSocket.OPEN) return again.terminate();
      this.#attach(next, again);
    } catch {
      this.#client.close(SERVICE_RESTART, 'the machine could not be woken');
    }
  }

  #send(target: DataPlaneTarget, data: RawData, binary: boolean): void {
    const upstream = this.#upstream;
    const mayBeLost = this.#waiting.length > 0 || this.#dataPlane.isFallingAsleep(target);
    if (upstream?.readyState === WebSocket.OPEN && !mayBeLost) {
      upstream.send(data, { binary }, () => {
        if (this.#client.isPaused && upstream.bufferedAmount < MAX_WAITING_BYTES) this.#client.resume();
      });
      if (upstream.bufferedAmount > MAX_WAITING_BYTES * 4) this.#client.pause();
      return;
    }
    this.#waiting.push({ data, binary });
    this.#waitingBytes += lengthOf(data);
    if (this.#waitingBytes > MAX_WAITING_BYTES) this.#client.pause();
    if (this.#waiting.length > 1) return;
    if (!upstream) this.#wake(target);
    else if (upstream.readyState === WebSocket.OPEN) void this.#callOff(target, upstream);
  }

  /** It falls asleep, and would not hear what it is sent: it is woken first. One that has not slept by then is still there. */
  async #callOff(target: DataPlaneTarget, upstream: WebSocket): Promise<void> {
    try {
      await this.#dataPlane.wake(target);
      const { incarnation } = await this.#dataPlane.findAwake(target, this.#wish.phases, this.#over.signal);
      if (incarnation === this.#incarnation && this.#upstream === upstream) this.#sendWaiting(upstream);
    } catch {
      // One that has lost its process by now is woken as such.
      if (this.#upstream === upstream) this.#client.close(SERVICE_RESTART, 'the machine could not be woken');
    }
  }

  #wake(target: DataPlaneTarget): void {
    this.#dataPlane.wake(target).catch(() => this.#client.close(SERVICE_RESTART, 'the machine could not be woken'));
  }
}

const lengthOf = (data: RawData): number => (Array.isArray(data) ? data.reduce((sum, part) => sum + part.length, 0) : data.byteLength);
