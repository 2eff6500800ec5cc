/** A string or number the compiler will not confuse with another of the same shape. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name };

/** Compile-time proof that a union was handled in full; throws when data from outside broke the promise. */
export function assertNever(value: never, what: string): never {
  throw new Error(`Unhandled ${what}: ${JSON.stringify(value)}`);
}
