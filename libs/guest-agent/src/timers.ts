/** Time, as much of it as a session needs; injected so that its rules are tested without waiting. */
export interface Timers {
  /** Calls once after a while, unless the returned function was called before. */
  after(milliseconds: number, call: () => void): () => void;
}
