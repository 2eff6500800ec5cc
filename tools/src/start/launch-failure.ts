/** Why Corral did not start, in words for whoever started it: no stack trace helps them. */
export class LaunchFailure extends Error {
  override readonly name = 'LaunchFailure';
}
