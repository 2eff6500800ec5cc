import { styleText } from 'node:util';

const BAR_CELLS = 24;
const LINE_INTERVAL_MS = 10_000;

type Style = 'green' | 'red' | 'yellow' | 'cyan' | 'bold' | 'dim';

/**
 * What a person sees: finished steps as lines, and below them, on a terminal, what is being done now. Without a terminal
 * the present is written as a line now and then, so that a log shows that there is life.
 */
export class Terminal {
  readonly #stream: NodeJS.WriteStream;
  readonly #isTty: boolean;
  readonly #hasColour: boolean;
  readonly #doing = new Map<string, string>();
  #linesBelow = 0;
  #lastLineAt = 0;

  constructor(stream: NodeJS.WriteStream, options: { readonly colour: boolean }) {
    this.#stream = stream;
    this.#isTty = stream.isTTY === true;
    this.#hasColour = this.#isTty && options.colour;
  }

  paint(style: Style, text: string): string {
    return this.#hasColour ? styleText(style, text, { validateStream: false }) : text;
  }

  line(text = ''): void {
    this.#erase();
    this.#stream.write(`${text}\n`);
    this.#draw();
  }

  done(what: string, detail = ''): void {
    this.#doing.delete(what);
    this.line(`${this.paint('green', '✓')} ${what.padEnd(16)} ${this.paint('dim', detail)}`.trimEnd());
  }

  warn(text: string): void {
    this.line(`${this.paint('yellow', '!')} ${text}`);
  }

  fail(text: string): void {
    this.#doing.clear();
    this.line(`${this.paint('red', '✗')} ${text}`);
  }

  /** Says what is being done about something, until `done` or `idle`. */
  doing(what: string, detail: string): void {
    const isNew = !this.#doing.has(what);
    this.#doing.set(what, detail);
    if (this.#isTty) {
      this.#erase();
      this.#draw();
      return;
    }
    const now = performance.now();
    if (!isNew && now - this.#lastLineAt < LINE_INTERVAL_MS) return;
    this.#lastLineAt = now;
    this.#stream.write(`· ${what.padEnd(16)} ${detail}\n`);
  }

  idle(what: string): void {
    this.#doing.delete(what);
    this.#erase();
    this.#draw();
  }

  #erase(): void {
    if (this.#linesBelow > 0) this.#stream.write(`\x1b[${this.#linesBelow}A\x1b[0J`);
    this.#linesBelow = 0;
  }

  #draw(): void {
    if (!this.#isTty) return;
    for (const [what, detail] of this.#doing) {
      const line = `· ${what.padEnd(16)} ${detail}`.slice(0, Math.max(20, this.#stream.columns - 1));
      this.#stream.write(`${this.paint('cyan', line)}\n`);
      this.#linesBelow += 1;
    }
  }
}

/** `▓▓▓░░░ 12.3 of 34.0 MiB` */
export function progressBar(done: number, total: number, unit: 'bytes' | 'files' | 'steps'): string {
  const share = total > 0 ? Math.min(done / total, 1) : 1;
  const filled = Math.round(share * BAR_CELLS);
  const bar = '▓'.repeat(filled) + '░'.repeat(BAR_CELLS - filled);
  if (unit === 'bytes') return `${bar} ${mebibytes(done)} of ${mebibytes(total)} MiB`;
  return `${bar} ${done} of ${total}`;
}

const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);

export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
