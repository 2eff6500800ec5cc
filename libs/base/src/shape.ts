/**
 * Reading values of unknown shape where zod is too large: it costs a process 6 MB and a tenth of a second, and a node has one
 * process per machine. Everything else reads with zod.
 */
export type Shape<T> = (value: unknown, at?: string) => T;
export type ShapeOf<S> = S extends Shape<infer T> ? T : never;

/** A value has another shape; the message says where and what should be there. */
export class Misshapen extends Error {
  override readonly name = 'Misshapen';
  /** Such as `memory.layers[0].key`; empty for the whole value. */
  readonly at: string;

  constructor(at: string, expected: string) {
    super(at === '' ? expected : `${at}: ${expected}`);
    this.at = at;
  }
}

type Properties = Readonly<Record<string, Shape<unknown>>>;
type Optional<P extends Properties> = { [K in keyof P]: undefined extends ShapeOf<P[K]> ? K : never }[keyof P];
type Read<P extends Properties> = { [K in Exclude<keyof P, Optional<P>>]: ShapeOf<P[K]> } & { [K in Optional<P>]?: Exclude<ShapeOf<P[K]>, undefined> };
type Flat<T> = { [K in keyof T]: T[K] };
type Tagged<V> = { [K in keyof V]: Flat<{ type: K } & ShapeOf<V[K]>> }[keyof V];

export function text({ pattern, max = Infinity }: { readonly pattern?: RegExp; readonly max?: number } = {}): Shape<string> {
  return (value, at = '') => {
    if (typeof value !== 'string') throw new Misshapen(at, 'must be a string');
    if (value.length > max) throw new Misshapen(at, `must have ${max} characters at most`);
    if (pattern && !pattern.test(value)) throw new Misshapen(at, `must match ${pattern}`);
    return value;
  };
}

/** A finite number. */
export function number({ above = -Infinity, max = Infinity }: { readonly above?: number; readonly max?: number } = {}): Shape<number> {
  return (value, at = '') => {
    if (typeof value !== 'number' || !Number.isFinite(value)) throw new Misshapen(at, 'must be a number');
    if (value <= above || value > max) throw new Misshapen(at, `must be above ${above} and ${max} at most`);
    return value;
  };
}

/** A whole number that a double holds exactly. */
export function integer({ min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER }: { readonly min?: number; readonly max?: number } = {}): Shape<number> {
  return (value, at = '') => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) throw new Misshapen(at, `must be a whole number from ${min} to ${max}`);
    return value;
  };
}

export const flag: Shape<boolean> = (value, at = '') => {
  if (typeof value !== 'boolean') throw new Misshapen(at, 'must be true or false');
  return value;
};

export function oneOf<const T extends string | number>(...values: readonly T[]): Shape<T> {
  return (value, at = '') => {
    const found = values.find((candidate) => candidate === value);
    if (found === undefined) throw new Misshapen(at, `must be ${values.join(' or ')}`);
    return found;
  };
}

export function list<T>(of: Shape<T>, { min = 0, max = Infinity }: { readonly min?: number; readonly max?: number } = {}): Shape<T[]> {
  return (value, at = '') => {
    if (!Array.isArray(value)) throw new Misshapen(at, 'must be a list');
    if (value.length < min || value.length > max) throw new Misshapen(at, `must have ${min} to ${max} elements`);
    return value.map((element, index) => of(element, `${at}[${index}]`));
  };
}

/** As in zod, a key `__proto__` is left out. */
export function record<T>(of: Shape<T>): Shape<Record<string, T>> {
  return (value, at = '') => {
    if (!isObject(value)) throw new Misshapen(at, 'must be an object');
    return Object.fromEntries(Object.entries(value).filter(([key]) => key !== '__proto__').map(([key, entry]) => [key, of(entry, inside(at, key))]));
  };
}

/** Properties nobody named are left out; with `strict`, they are refused. */
export function object<P extends Properties>(properties: P, { strict = false }: { readonly strict?: boolean } = {}): Shape<Flat<Read<P>>> {
  return (value, at = '') => {
    if (!isObject(value)) throw new Misshapen(at, 'must be an object');
    const unknown = strict ? Object.keys(value).find((key) => !Object.hasOwn(properties, key)) : undefined;
    if (unknown !== undefined) throw new Misshapen(inside(at, unknown), 'is not known');
    const read: Record<string, unknown> = {};
    for (const [key, shape] of Object.entries(properties)) {
      const property = shape(Object.hasOwn(value, key) ? value[key] : undefined, inside(at, key));
      if (property !== undefined) read[key] = property;
    }
    return read as Flat<Read<P>>;
  };
}

export function optional<T>(of: Shape<T>): Shape<T | undefined> {
  return (value, at) => (value === undefined ? undefined : of(value, at));
}

export function nullable<T>(of: Shape<T>): Shape<T | null> {
  return (value, at) => (value === null ? null : of(value, at));
}

/** What is absent is this. */
export function withDefault<T>(of: Shape<T>, otherwise: T): Shape<T> {
  return (value, at) => (value === undefined ? otherwise : of(value, at));
}

/** One of several objects, each read without the property `type`, which says which it is. */
export function tagged<V extends Readonly<Record<string, Shape<object>>>>(variants: V): Shape<Tagged<V>> {
  return (value, at = '') => {
    if (!isObject(value)) throw new Misshapen(at, 'must be an object');
    const { type, ...rest } = value;
    const variant = typeof type === 'string' && Object.hasOwn(variants, type) ? variants[type] : undefined;
    if (!variant) throw new Misshapen(inside(at, 'type'), `must be ${Object.keys(variants).join(' or ')}`);
    return { type, ...variant(rest, at) } as Tagged<V>;
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const inside = (at: string, key: string): string => (at === '' ? key : `${at}.${key}`);
