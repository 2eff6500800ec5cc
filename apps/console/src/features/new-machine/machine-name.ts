const QUALITIES = [
  'quiet',
  'brisk',
  'amber',
  'calm',
  'clever',
  'dusty',
  'eager',
  'fleet',
  'gentle',
  'hardy',
  'keen',
  'lucky',
  'mellow',
  'nimble',
  'polite',
  'proud',
  'rapid',
  'sunny',
  'tidy',
  'wry',
];
const ANIMALS = [
  'otter',
  'heron',
  'badger',
  'bison',
  'colt',
  'crane',
  'finch',
  'fox',
  'hare',
  'ibex',
  'lark',
  'lynx',
  'marten',
  'mule',
  'newt',
  'pony',
  'raven',
  'stoat',
  'wren',
  'yak',
];

/** A name nobody had to think of, not among those taken. `random` in [0, 1). */
export function inventName(taken: ReadonlySet<string>, random: () => number): string {
  const pick = (words: readonly string[]): string => words[Math.floor(random() * words.length)] ?? 'quiet';
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const name = `${pick(QUALITIES)}-${pick(ANIMALS)}`;
    if (!taken.has(name)) return name;
  }
  return nextName(`${pick(QUALITIES)}-${pick(ANIMALS)}`, taken);
}

const MAX_LABEL = 63;

/** The base itself, or the base with the first number that is free. Always a DNS label. */
export function nextName(base: string, taken: ReadonlySet<string>): string {
  const label =
    base
      .toLowerCase()
      .replace(/[^a-z0-9-]+/g, '-')
      .slice(0, MAX_LABEL)
      .replace(/^-+|-+$/g, '') || 'machine';
  if (!taken.has(label)) return label;
  for (let number = 2; ; number += 1) {
    const suffix = `-${number}`;
    const name = label.slice(0, MAX_LABEL - suffix.length).replace(/-+$/, '') + suffix;
    if (!taken.has(name)) return name;
  }
}
