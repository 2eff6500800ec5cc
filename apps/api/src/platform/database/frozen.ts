/**
 * A JSON value that nobody can change any more, all the way down: one copy is shared by everyone who reads, so code that
 * would change it in place must fail where it does, and not show its change to others.
 */
export function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const key in value) frozen(value[key]);
  return value;
}
