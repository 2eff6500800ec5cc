/**
 * Kubernetes resource quantities of bytes ("128Mi", "1G", "1048576").
 * Source: k8s.io/apimachinery/pkg/api/resource, the suffix grammar.
 */
const MULTIPLIERS: Readonly<Record<string, number>> = {
  '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40,
};
const QUANTITY = /^(\d+(?:\.\d+)?)(k|M|G|T|Ki|Mi|Gi|Ti)?$/;

/** More digits than any size has; arithmetic on them must stay cheap. */
const MAX_LENGTH = 64;

export const MIB = 2 ** 20;

/** Bytes in a quantity, or undefined when the text is not a whole, non-negative number of bytes. */
export function parseBytes(text: string): number | undefined {
  const match = text.length <= MAX_LENGTH ? QUANTITY.exec(text) : undefined;
  if (!match) return undefined;
  // In whole numbers: 8.12 * 1000 is not 8120 in floating point.
  const [whole = '', fraction = ''] = (match[1] ?? '').split('.');
  const [scaled, scale] = [BigInt(whole + fraction) * BigInt(MULTIPLIERS[match[2] ?? ''] ?? 0), 10n ** BigInt(fraction.length)];
  const bytes = Number(scaled / scale);
  return scaled % scale === 0n && Number.isSafeInteger(bytes) ? bytes : undefined;
}

const ANY_QUANTITY = /^([+-]?)(\d+(?:\.\d*)?|\.\d+)(?:([eE][+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i)?)$/;
const EXPONENTS: Readonly<Record<string, readonly [base: number, exponent: number]>> = {
  n: [10, -9], u: [10, -6], m: [10, -3], k: [10, 3], M: [10, 6], G: [10, 9], T: [10, 12], P: [10, 15], E: [10, 18],
  Ki: [2, 10], Mi: [2, 20], Gi: [2, 30], Ti: [2, 40], Pi: [2, 50], Ei: [2, 60],
};

/** The number any Kubernetes quantity says ("10", "1.5Gi", "250m", "1e3"), or undefined when the text is none. */
export function parseQuantity(text: string): number | undefined {
  const [, sign, digits, exponent = '', suffix = ''] = ANY_QUANTITY.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const [base, power] = EXPONENTS[suffix] ?? [1, 0];
  const magnitude = Number(`${digits}${exponent.toLowerCase()}`);
  // Division keeps thousandths exact where multiplication would not.
  const value = power < 0 ? magnitude / base ** -power : magnitude * base ** power;
  if (!Number.isFinite(value)) return undefined;
  return sign === '-' ? -value : value;
}

/** The shortest binary quantity that says exactly this many bytes. */
export function formatBytes(bytes: number): string {
  for (const suffix of ['Ti', 'Gi', 'Mi', 'Ki'] as const) {
    const unit = MULTIPLIERS[suffix] ?? 1;
    if (bytes > 0 && bytes % unit === 0) return `${bytes / unit}${suffix}`;
  }
  return String(bytes);
}

/** A size for people to read, to three digits: `22.1Mi`. */
export function describeBytes(bytes: number): string {
  const suffix = (['Ti', 'Gi', 'Mi', 'Ki'] as const).find((candidate) => bytes >= (MULTIPLIERS[candidate] ?? 1)) ?? '';
  return `${Number((bytes / (MULTIPLIERS[suffix] ?? 1)).toPrecision(3))}${suffix}`;
}
