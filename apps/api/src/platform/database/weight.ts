/** About how many characters a JSON value has as text: what caches count, without writing it. */
export function weightOf(value: unknown): number {
  if (typeof value === 'string') return value.length + 3;
  if (typeof value !== 'object' || value === null) return 6;
  let weight = 2;
  if (Array.isArray(value)) for (const item of value) weight += weightOf(item);
  else for (const key in value) weight += key.length + 4 + weightOf((value as Record<string, unknown>)[key]);
  return weight;
}
