import type { Screen } from '@corral/v86-host';
import { PanicDetector, panicOnScreen } from './panic.ts';

/** Time for the rest of the message to be printed; and how soon a living guest answers. */
const PROOF_MS = 1500;
const LOOK_EVERY_MS = 2000;

interface PanicWatchOptions {
  readonly screen: () => Screen | undefined;
  /** Whether the guest agent answers within the deadline. */
  readonly answers: (deadlineMs: number) => Promise<boolean>;
  readonly onPanic: (message: string) => void;
}

/**
 * Notices that the guest's kernel panicked, by what it prints on the serial line or the text screen. A guest whose agent
 * still answers afterwards has only printed somebody's old log.
 */
export class PanicWatch {
  readonly #options: PanicWatchOptions;
  readonly #serial = new PanicDetector();
  #seenChanges = 0;
  #dismissed: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #proving = false;

  constructor(options: PanicWatchOptions) {
    this.#options = options;
  }

  start(): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#timer.unref();
  }

  see(bytes: Uint8Array): void {
    const message = this.#serial.see(bytes);
    if (message !== undefined) void this.#prove(message);
  }

  dispose(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const screen = this.#options.screen();
    if (!screen || screen.textChanges === this.#seenChanges) return;
    this.#seenChanges = screen.textChanges;
    const message = panicOnScreen(screen.text() ?? []);
    if (message !== undefined && message !== this.#dismissed) void this.#prove(message);
  }

  async #prove(message: string): Promise<void> {
    if (this.#proving) return;
    this.#proving = true;
    const [alive] = await Promise.all([this.#options.answers(PROOF_MS), new Promise((resolve) => setTimeout(resolve, PROOF_MS / 3))]);
    this.#proving = false;
    if (alive) this.#dismissed = message;
    else this.#options.onPanic(message);
  }
}
