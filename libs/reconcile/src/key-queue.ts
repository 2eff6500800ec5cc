/** Why a key is looked at: something changed, a resync came by, or a look before asked for another. */
export type Cause = 'Change' | 'Resync' | 'Again';

/**
 * Where the keys of one controller wait. A key waits once however often it is added; one added while it is worked on is
 * worked on again afterwards, never beside itself. Keys are hints: losing them all costs time until the next resync,
 * never work, so whoever starts a queue adds everything there is.
 */
export interface KeyQueue {
  /** Never throws and never makes its caller wait. What is added before `start` or after `stop` may be lost. */
  add(key: string, cause?: Cause): void;
  /** Adds later; of several waits for one key the shortest counts. */
  addAfter(key: string, delayMs: number): void;
  /** Hands keys to `work`, at most `concurrency` at once. What `work` rejects with is lost: it reports its own failures. */
  start(work: (key: string, cause: Cause) => Promise<void>, concurrency: number): void;
  /** Hands out nothing more and resolves when nothing is worked on here any more. May be started again. */
  stop(): Promise<void>;
  /** Keys waiting to be worked on now, without those that wait for their time. */
  depth(): Promise<number>;
}
