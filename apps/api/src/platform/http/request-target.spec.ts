import { requestAttributes } from '@corral/api-machinery';
import { Problem } from '@corral/contracts';
import fc from 'fast-check';
import { parseTarget } from './request-target.ts';

const refusalOf = (target: string): unknown => {
  try {
    return parseTarget(target).pathname;
  } catch (error) {
    return error instanceof Problem ? error.code : error;
  }
};

it.each([
  ['/apis', '/apis'],
  ['/%61pis/corral.dev', '/apis/corral.dev'],
  ['/%6detrics?x=%2F..', '/metrics'],
  ['/%2561pis', '/%2561pis'],
  ['//metrics', '//metrics'],
  ['/a%20b/c:d', '/a%20b/c%3Ad'],
  ['http://elsewhere.example/apis', '/apis'],
])('spells %s as %s', (target, path) => {
  expect(parseTarget(target).pathname).toBe(path);
});

it('keeps the query', () => {
  expect([...parseTarget('/files?path=/tmp/../x%2Fy&a=b?c').searchParams]).toEqual([['path', '/tmp/../x/y'], ['a', 'b?c']]);
});

it.each([
  '/x/../apis', '/%2e%2e/apis', '/.%2E/apis', '/./apis', '/apis/.', '/x%2fy', '/x%2Fy', '/x\\..\\apis', '/x%5cy', '/x\ty', '/x%0ay', '/x%00', '/?x=%00', '/%zz', '/%ff', '/apis#x', '*', '', 'apis',
  'HTTP://elsewhere.example/apis', 'ftp://elsewhere.example/apis',
])('refuses %j', (target) => {
  expect(refusalOf(target)).toBe('request.malformed');
});

it('authorizes the same however a path is encoded', () => {
  const characters = fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz0123456789-:~');
  const segment = fc.array(fc.tuple(characters, fc.boolean()), { minLength: 1, maxLength: 8 });
  const encoded = (character: string): string => `%${character.charCodeAt(0).toString(16)}`;
  fc.assert(
    fc.property(fc.constantFrom('', '/apis/corral.dev/v1', '/api/v1'), fc.array(segment, { minLength: 1, maxLength: 4 }), (root, segments) => {
      const plain = root + segments.map((parts) => `/${parts.map(([character]) => character).join('')}`).join('');
      const dressed = root + segments.map((parts) => `/${parts.map(([character, isEncoded]) => (isEncoded ? encoded(character) : character)).join('')}`).join('');
      const attributes = (target: string): unknown => requestAttributes('GET', parseTarget(target).pathname, () => undefined);
      expect(attributes(dressed)).toEqual(attributes(plain));
    }),
  );
});
