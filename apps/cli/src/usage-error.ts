/** What the caller can put right by calling differently; its message says how. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
