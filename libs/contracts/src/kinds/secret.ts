import { z } from 'zod';
import type { KindDefinition } from '../kind.ts';
import type { KubeObject } from '../metadata.ts';
import type { FieldProblem } from '../problems.ts';
import { isDnsSubdomain } from './fields.ts';

/** Bytes by name. Source: k8s.io/api core/v1, Secret. */
export const SecretBody = z.strictObject({
  data: z.record(z.string(), z.base64('must be base64')).optional().describe('Bytes by name, as base64.'),
  stringData: z.record(z.string(), z.string()).optional().describe('Text by name: merged into data when written, and never given back.'),
  type: z.string().default('Opaque').describe('What the data is; some types ask for certain names. Cannot be changed.'),
  immutable: z.boolean().optional().describe('Once true, neither it nor the data can be changed.'),
});
export type SecretBody = z.output<typeof SecretBody>;
export type Secret = KubeObject & SecretBody;
const asSecret = (object: KubeObject): Secret => object as Secret;

/** Source: k8s.io/kubernetes/pkg/apis/core, MaxSecretSize. */
export const MAX_SECRET_BYTES = 1024 * 1024;

/** Names each type must hold; of a nested list, one of them. Source: k8s.io/kubernetes/pkg/apis/core/validation, ValidateSecret. */
const REQUIRED_NAMES: Readonly<Record<string, readonly (readonly string[])[] | undefined>> = {
  'kubernetes.io/tls': [['tls.crt'], ['tls.key']],
  'kubernetes.io/basic-auth': [['username', 'password']],
  'kubernetes.io/ssh-auth': [['ssh-privatekey']],
  'kubernetes.io/dockercfg': [['.dockercfg']],
  'kubernetes.io/dockerconfigjson': [['.dockerconfigjson']],
};
const DATA_NAME = /^[-._a-zA-Z0-9]+$/;

export const secrets: KindDefinition = {
  group: '', version: 'v1', kind: 'Secret', plural: 'secrets', singular: 'secret', shortNames: [], categories: [],
  scope: 'Namespaced', nameRule: 'DnsSubdomain', builtIn: true,
  body: SecretBody,
  columns: [
    { name: 'Type', type: 'string', description: 'What the data is.', value: (secret) => asSecret(secret).type },
    { name: 'Data', type: 'integer', description: 'How many names it holds.', value: (secret) => Object.keys(asSecret(secret).data ?? {}).length },
  ],
  selectableFields: { type: (secret) => asSecret(secret).type },
  normalize(object) {
    const { stringData, ...secret } = asSecret(object);
    if (stringData === undefined) return object;
    const merged = Object.entries(stringData).map(([name, text]) => [name, base64Of(text)] as const);
    return { ...secret, data: { ...secret.data, ...Object.fromEntries(merged) } } as KubeObject;
  },
  validate: (object, previous) => [...dataProblems(asSecret(object)), ...(previous ? changeProblems(asSecret(object), asSecret(previous)) : [])],
};

function dataProblems({ data = {}, type }: Secret): FieldProblem[] {
  const names = Object.keys(data);
  const bytes = Object.values(data).reduce((sum, text) => sum + byteLength(text), 0);
  return [
    ...names
      .filter((name) => name.length > 253 || !DATA_NAME.test(name) || name === '.' || name.startsWith('..'))
      .map((name): FieldProblem => ({ field: `data[${name}]`, reason: 'FieldValueInvalid', message: "a valid name holds at most 253 letters, digits, '-', '_' and '.', and is not '.' nor begins with '..'" })),
    ...(bytes > MAX_SECRET_BYTES ? [{ field: 'data', reason: 'FieldValueTooLong', message: `may not be more than ${MAX_SECRET_BYTES} bytes` } as const] : []),
    ...(REQUIRED_NAMES[type] ?? [])
      .filter((alternatives) => !alternatives.some((name) => names.includes(name)))
      .map((alternatives): FieldProblem => ({ field: `data[${alternatives.join(' or ')}]`, reason: 'FieldValueRequired', message: `type ${type} needs it` })),
    ...(type === '' || type.length > 253 || !type.split('/').every((part) => isDnsSubdomain(part.toLowerCase())) ? [{ field: 'type', reason: 'FieldValueInvalid', message: 'must be a name such as Opaque or example.com/kind' } as const] : []),
  ];
}

function changeProblems(next: Secret, previous: Secret): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const forbid = (field: string, message: string): void => void problems.push({ field, reason: field === 'type' ? 'FieldValueInvalid' : 'FieldValueForbidden', message });
  if (next.type !== previous.type) forbid('type', 'field is immutable');
  if (previous.immutable !== true) return problems;
  if (next.immutable !== true) forbid('immutable', 'field is immutable when `immutable` is set');
  if (!isSameData(next.data, previous.data)) forbid('data', 'field is immutable when `immutable` is set');
  return problems;
}

function isSameData(one: Secret['data'] = {}, other: Secret['data'] = {}): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => Object.hasOwn(other, name) && one[name] === other[name]);
}

/** UTF-8, then base64; `btoa` takes one character per byte. */
function base64Of(text: string): string {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(''));
}

const byteLength = (base64: string): number => Math.floor((base64.replace(/=+$/, '').length * 3) / 4);
