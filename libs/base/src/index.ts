/** The few things every part needs and no library names better: brands, exhaustiveness, time, teardown. */
export { assertNever, type Brand } from './brand.ts';
export { systemClock, type Clock } from './clock.ts';
export { Disposer } from './disposer.ts';
