import fc from 'fast-check';

/** Texts that break what was not thought through. */
export const hostileText = fc.constantFrom(
  '', ' ', '\0', 'a\0b', '\ud800', '\udc00x', '\u202e', 'ſ', 'İ', '💥', 'e\u0301', '\ufeff', '\r\nX-Injected: 1', '..', '.', '/', '\\', '%00', '%2e%2e', '%', '%zz', '%ff', '{{7*7}}', "' OR 1=1 --", '$1', '__proto__',
  'constructor', 'toString', 'hasOwnProperty', 'null', 'undefined', 'NaN', '-1', '0', '1e309', '9223372036854775808', '99999999999999999999999', 'true', 'x'.repeat(64), 'x'.repeat(254), 'a'.repeat(5000), 'a.b/c', '*',
);

export const hostileNumber = fc.constantFrom(0, -0, -1, 1.5, 1e21, 1e308, -1e308, 2 ** 31, 2 ** 53, 2 ** 63, 5e-324, Number.MAX_SAFE_INTEGER);

export const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  hostileText,
  hostileNumber,
  fc.constantFrom(null, true, false, [], {}, [[]], [null], { '': null }),
  fc.jsonValue({ maxDepth: 3 }),
  fc.dictionary(hostileText, hostileText, { maxKeys: 3 }),
  fc.integer({ min: 1, max: 3000 }).map(nested),
);

/** An array of arrays, so deep. */
function nested(depth: number): unknown {
  let value: unknown = 0;
  for (let level = 0; level < depth; level += 1) value = [value];
  return value;
}
