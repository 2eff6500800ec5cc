/**
 * Kubernetes resource quantities of bytes ("128Mi", "1G", "1048576").
 * Source: k8s.io/apimachinery/pkg/api/resource, the suffix grammar.
 */
const MULTIPLIERS: Readonly<Record<string, number>> = {
  '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40,
};
const QUANTITY = /^(\d+(?:\.\d+)?)(k|M|G|T|Ki|Mi|Gi|Ti)?$/;

export const MIB = 2 ** 20;

/** Bytes in a quantity, or undefined when the text is not a whole, non-negative number of bytes. */
export function parseBytes(text: string): number | undefined {
  const match = QUANTITY.exec(text);
  if (!match) return undefined;
  const bytes = Number(match[1]) * (MULTIPLIERS[match[2] ?? ''] ?? NaN);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
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
