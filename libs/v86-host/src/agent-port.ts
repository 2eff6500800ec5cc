import type { V86Emulator } from './v86.internals.ts';

const PORT = 1;
/** virtio 1.2, 5.3.2: port n > 0 has its receive queue at 2n + 2. */
const RECEIVE_QUEUE = 2 * PORT + 2;
/** virtio 1.2, 5.3.6.2: VIRTIO_CONSOLE_CONSOLE_PORT. */
const EVENT_CONSOLE_PORT = 4;
/** What one receive buffer of Linux's driver holds; v86 drops the rest of a longer message. */
export const AGENT_PORT_MESSAGE_BYTES = 4096;
/** More than an agent that keeps to its credit lets wait on all of its channels together. */
const MAX_WAITING_BYTES = 16 * 1024 * 1024;
const SPINS_BEFORE_NAP = 64;
const LONGEST_NAP_MS = 20;

/**
 * The guest agent's channel: a virtio-serial port. v86 announces its four ports as consoles; one override keeps port 1
 * a plain byte stream under a name. v86 also drops what it is given while the guest has no buffer posted, so messages
 * wait here until there is one.
 */
export class AgentPort {
  onBytes: (bytes: Uint8Array) => void = () => undefined;
  readonly #emulator: V86Emulator;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #held = false;
  #retry: (() => void) | undefined;
  #misses = 0;

  constructor(emulator: V86Emulator, name: string) {
    this.#emulator = emulator;
    const console = emulator.v86.cpu.devices.virtio_console;
    const sendEvent = console.SendEvent.bind(console);
    console.SendEvent = (port, event, value) => {
      if (event !== EVENT_CONSOLE_PORT || port === 0) sendEvent(port, event, value);
    };
    const sendName = console.SendName.bind(console);
    console.SendName = (port, upstreamName) => sendName(port, port === PORT ? name : upstreamName);
    emulator.add_listener(`virtio-console${PORT}-output-bytes`, (bytes: Uint8Array) => this.onBytes(bytes));
  }

  /** Bytes that wait for the guest to take them: what a sender looks at before it makes more. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Sends one message, cut at the size of the guest's buffers. A guest that asks for more and more and takes nothing loses it. */
  write(message: Uint8Array): void {
    if (this.#waitingBytes + message.length > MAX_WAITING_BYTES) return;
    for (let from = 0; from < message.length; from += AGENT_PORT_MESSAGE_BYTES) {
      const part = message.subarray(from, from + AGENT_PORT_MESSAGE_BYTES);
      this.#waiting.push(part);
      this.#waitingBytes += part.length;
    }
    this.#flush();
  }

  /** Keeps messages back while the guest must not change. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.#flush();
  }

  /** Forgets what the guest has not taken: a new guest begins. */
  clear(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  dispose(): void {
    this.clear();
    this.#retry?.();
    this.onBytes = () => undefined;
  }

  #flush(): void {
    if (this.#held) return;
    const queue = this.#emulator.v86.cpu.devices.virtio_console.virtio.queues[RECEIVE_QUEUE];
    let taken = 0;
    while (queue?.is_configured() && taken < this.#waiting.length && queue.has_request()) {
      const message = this.#waiting[taken];
      taken += 1;
      if (message) {
        this.#waitingBytes -= message.length;
        this.#emulator.bus.send(`virtio-console${PORT}-input-bytes`, message);
      }
    }
    if (taken > 0) {
      this.#waiting.splice(0, taken);
      this.#misses = 0;
    }
    if (this.#waiting.length > 0) this.#flushLater();
  }

  /** After every slice of the guest at first; then ever more rarely, so that a guest that never reads costs nothing. */
  #flushLater(): void {
    if (this.#retry) return;
    this.#misses += 1;
    const flush = (): void => {
      this.#retry = undefined;
      this.#flush();
    };
    if (this.#misses <= SPINS_BEFORE_NAP) {
      const immediate = setImmediate(flush);
      this.#retry = () => clearImmediate(immediate);
    } else {
      const timer = setTimeout(flush, Math.min(this.#misses - SPINS_BEFORE_NAP, LONGEST_NAP_MS));
      this.#retry = () => clearTimeout(timer);
    }
  }
}
