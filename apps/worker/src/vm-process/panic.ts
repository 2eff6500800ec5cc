/** What Linux prints last. Source: kernel/panic.c. */
const PANIC = /Kernel panic - not syncing: ([^\r\n]*)/;
const TAIL_CHARACTERS = 512;

/** Finds a kernel's last words in a console's output, however it is cut. Says each panic once. */
export class PanicDetector {
  #tail = '';

  /** The panic's reason when its line is complete in what was seen so far. */
  see(bytes: Uint8Array): string | undefined {
    const text = this.#tail + new TextDecoder('latin1').decode(bytes);
    const match = PANIC.exec(text);
    const complete = match && text.indexOf('\n', match.index) !== -1;
    this.#tail = complete ? '' : text.slice(match ? Math.min(match.index, text.length) : -TAIL_CHARACTERS).slice(0, 4096);
    return complete ? (match[1] ?? '').trim() : undefined;
  }
}

/** The same on a text screen, for guests whose console is no serial line. */
export function panicOnScreen(rows: readonly string[]): string | undefined {
  for (const row of rows) {
    const match = PANIC.exec(row);
    if (match) return (match[1] ?? '').trim();
  }
  return undefined;
}
