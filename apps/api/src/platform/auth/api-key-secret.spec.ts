import fc from 'fast-check';
import { API_KEY_PATTERN, isApiKeySecret, makeApiKeySecret } from './api-key-secret.ts';

const secret = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => makeApiKeySecret(bytes));

it('every key is recognized, and has the same length', () => {
  fc.assert(fc.property(secret, (text) => API_KEY_PATTERN.test(text) && isApiKeySecret(text)));
});

it('different bits are different keys', () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.nat(255), (bytes, at) => {
    const other = Uint8Array.from(bytes);
    other[at >> 3] = (other[at >> 3] ?? 0) ^ (1 << (at & 7));
    return makeApiKeySecret(bytes) !== makeApiKeySecret(other);
  }));
});

it('one wrong character is noticed', () => {
  fc.assert(fc.property(secret, fc.integer({ min: 7, max: 55 }), fc.constantFrom(...'0Az9'), (text, at, character) =>
    text[at] === character || !isApiKeySecret(`${text.slice(0, at)}${character}${text.slice(at + 1)}`)));
});

it('two keys are never alike', () => {
  expect(new Set(Array.from({ length: 100 }, () => makeApiKeySecret())).size).toBe(100);
});
