const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** Bytes in binary units and three significant digits: `1.9 MiB`, `128 MiB`, `0 B`. `–` when they are not known. */
export function formatSize(bytes: number | undefined): string {
  const { value, unit } = splitSize(bytes);
  return unit === '' ? value : `${value} ${unit}`;
}

/** Number and unit apart, for figures that set them in different type. */
export function splitSize(bytes: number | undefined): { readonly value: string; readonly unit: string } {
  if (bytes === undefined || !Number.isFinite(bytes)) return { value: '–', unit: '' };
  let value = bytes;
  let power = 0;
  // 999.5 would round up to a fourth digit.
  while (value >= 999.5 && power < UNITS.length - 1) {
    value /= 1024;
    power += 1;
  }
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : power === 0 ? 0 : 2;
  return { value: String(Number(value.toFixed(digits))), unit: UNITS[power] ?? 'B' };
}
