import type { KubeObject } from '../metadata.ts';
import { MAX_SECRET_BYTES, SecretBody, secrets } from './secret.ts';

const METADATA = { name: 's', namespace: 'default', uid: 'u', resourceVersion: '1', generation: 1, creationTimestamp: '2026-11-20T00:00:00Z' };
/** As the machinery does: parsed, then brought into the form that is stored. */
function stored(body: object): KubeObject {
  const object = { apiVersion: 'v1', kind: 'Secret', metadata: METADATA, ...SecretBody.parse(body) } as KubeObject;
  return secrets.normalize?.(object) ?? object;
}
const fieldsWrong = (body: object, previous?: object): string[] => (secrets.validate?.(stored(body), previous && stored(previous)) ?? []).map(({ field }) => field);

it('stringData is merged over data as base64 of UTF-8, and is gone', () => {
  const secret = stored({ data: { a: 'YQ==', b: 'Yg==' }, stringData: { b: 'grün', c: '' } });
  expect(secret).toMatchObject({ data: { a: 'YQ==', b: Buffer.from('grün').toString('base64'), c: '' }, type: 'Opaque' });
  expect(secret).not.toHaveProperty('stringData');
});

it.each([
  ['base64', { data: { a: 'not base64!' } }],
  ['text', { stringData: { a: 1 } }],
])('data that is no %s is refused', (_what, body) => {
  expect(SecretBody.safeParse(body).success).toBe(false);
});

it.each([
  ['a name with a slash', { data: { 'a/b': '' } }, ['data[a/b]']],
  ['a name that leads upwards', { stringData: { '..x': '' } }, ['data[..x]']],
  ['a TLS secret without its key', { type: 'kubernetes.io/tls', stringData: { 'tls.crt': 'x' } }, ['data[tls.key]']],
  ['a basic-auth secret with a password only', { type: 'kubernetes.io/basic-auth', stringData: { password: 'x' } }, []],
  ['as many bytes as it may have', { stringData: { a: 'x'.repeat(MAX_SECRET_BYTES) } }, []],
  ['one byte too many', { stringData: { a: 'x'.repeat(MAX_SECRET_BYTES), b: 'y' } }, ['data']],
  ['a type of its own', { type: 'example.com/key' }, []],
])('%s', (_title, body, expected) => {
  expect(fieldsWrong(body)).toEqual(expected);
});

it('its type never changes, and an immutable one not at all', () => {
  expect(fieldsWrong({ type: 'a' }, { type: 'b' })).toEqual(['type']);
  const fixed = { immutable: true, stringData: { a: 'x' } };
  expect(fieldsWrong(fixed, fixed)).toEqual([]);
  expect(fieldsWrong({ immutable: true, stringData: { a: 'y' } }, fixed)).toEqual(['data']);
  expect(fieldsWrong({ stringData: { a: 'x', b: 'x' } }, fixed)).toEqual(['immutable', 'data']);
});
