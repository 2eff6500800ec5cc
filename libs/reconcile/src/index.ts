/**
 * What every controller needs: a work queue that never runs one key twice at once, back-off, a runner, a local copy of
 * what the API holds, and events for people. Level, not edge: a key says what to look at, never what happened to it.
 */
export * from './timers.ts';
export * from './backoff.ts';
export * from './work-queue.ts';
export * from './key-queue.ts';
export * from './local-queue.ts';
export * from './controller.ts';
export * from './informer.ts';
export * from './event-recorder.ts';
export * from './virtual-timers.ts';
