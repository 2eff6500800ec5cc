import { z } from 'zod';
import type { KindDefinition } from '../kind.ts';
import type { KubeObject } from '../metadata.ts';

/** Who a program is. Source: k8s.io/api core/v1, ServiceAccount. */
export const ServiceAccountBody = z.strictObject({
  secrets: z
    .array(z.strictObject({
      kind: z.string().optional(), namespace: z.string().optional(), name: z.string().optional(), uid: z.string().optional(),
      apiVersion: z.string().optional(), resourceVersion: z.string().optional(), fieldPath: z.string().optional(),
    }))
    .optional()
    .describe('Secrets it may use. Kept for Kubernetes; nothing reads it.'),
  imagePullSecrets: z.array(z.strictObject({ name: z.string().optional() })).optional().describe('Kept for Kubernetes; nothing reads it.'),
  automountServiceAccountToken: z.boolean().optional().describe('Kept for Kubernetes; no token is ever put into a guest unasked.'),
});
export type ServiceAccountBody = z.output<typeof ServiceAccountBody>;
export type ServiceAccount = KubeObject & ServiceAccountBody;
const asServiceAccount = (object: KubeObject): ServiceAccount => object as ServiceAccount;

/** Every namespace has it, as in Kubernetes. */
export const DEFAULT_SERVICE_ACCOUNT = 'default';

/** Source: k8s.io/apiserver/pkg/authentication/serviceaccount, MakeUsername and MakeGroupNames. */
export const serviceAccountUserName = (namespace: string, name: string): string => `system:serviceaccount:${namespace}:${name}`;

/** The account that a user of this name is; undefined for everybody else. Source: k8s.io/apiserver/pkg/authentication/serviceaccount, SplitUsername. */
export function serviceAccountOf(userName: string): { readonly namespace: string; readonly name: string } | undefined {
  const [, namespace, name] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(userName) ?? [];
  return namespace === undefined || name === undefined ? undefined : { namespace, name };
}

export const serviceAccountGroups = (namespace: string): readonly string[] => ['system:serviceaccounts', `system:serviceaccounts:${namespace}`];

export const serviceAccounts: KindDefinition = {
  group: '', version: 'v1', kind: 'ServiceAccount', plural: 'serviceaccounts', singular: 'serviceaccount', shortNames: ['sa'], categories: [],
  scope: 'Namespaced', nameRule: 'DnsSubdomain', builtIn: true,
  body: ServiceAccountBody,
  columns: [{ name: 'Secrets', type: 'string', description: 'How many Secrets it names.', value: (account) => String(asServiceAccount(account).secrets?.length ?? 0) }],
  selectableFields: {},
};
