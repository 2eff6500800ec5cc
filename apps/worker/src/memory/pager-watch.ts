/** What was seen of a pager at one look. */
export interface PagerSign {
  /** Which process it is in. */
  readonly pid: number;
  /** What it wrote last; undefined where no pager runs. */
  readonly beat: string | undefined;
  /** The whole process was stopped from outside (SIGSTOP, a debugger): nothing in it can be alive, and nothing is wrong. */
  readonly isStopped: boolean;
}

/** A pager writes once a second. */
const STUCK_AFTER_LOOKS = 4;

/**
 * Finds pagers that have stopped living while their process is still there: its guest would wait for a page for ever, and
 * nothing in the process can notice. Pure.
 */
export class PagerWatch {
  #known = new Map<string, { readonly sign: PagerSign; readonly unchanged: number }>();

  /** Takes what was seen of each machine now, and answers whose process has to end. */
  look(signs: ReadonlyMap<string, PagerSign>): readonly string[] {
    const next = new Map<string, { readonly sign: PagerSign; readonly unchanged: number }>();
    for (const [uid, sign] of signs) {
      const before = this.#known.get(uid);
      const isSame = before !== undefined && before.sign.pid === sign.pid && before.sign.beat === sign.beat && sign.beat !== undefined && !sign.isStopped && !before.sign.isStopped;
      next.set(uid, { sign, unchanged: isSame ? before.unchanged + 1 : 0 });
    }
    this.#known = next;
    return [...next].flatMap(([uid, { unchanged }]) => (unchanged >= STUCK_AFTER_LOOKS ? [uid] : []));
  }
}
