import type { RequestAttributes } from '@corral/api-machinery';
import { NODE_LEASE_NAMESPACE } from '@corral/contracts';
import { NODES_GROUP, type Identity } from './user.ts';

/** Whoever holds the deployment's node token: may become a node, and nothing else. */
export const NODE_BOOTSTRAP_GROUP = 'system:bootstrappers';
export const NODE_CREDENTIALS_PATH = '/auth/node-credentials';

const NODE_USER = /^system:node:(.+)$/;
export const nodeUserName = (nodeName: string): string => `system:node:${nodeName}`;

/** Which node this is; undefined for everybody else. */
export function nodeNameOf({ name, groups }: Identity): string | undefined {
  return groups.includes(NODES_GROUP) ? NODE_USER.exec(name)?.[1] : undefined;
}

type Resource = Extract<RequestAttributes, { readonly isResource: true }>;
type Rule = (attributes: Resource, nodeName: string) => boolean;

const READ = ['get', 'list', 'watch'];
const WRITE = ['update', 'patch'];
const isAmong = (verbs: readonly string[], { verb }: Resource): boolean => verbs.includes(verb);

/** Its own object, by name. A create names it in its body, which the node restriction looks at. */
const own: Rule = (attributes, nodeName) => attributes.verb === 'create' || (isAmong(['get', ...WRITE], attributes) && attributes.name === nodeName);
const ownStatus: Rule = (attributes, nodeName) => isAmong(['get', ...WRITE], attributes) && attributes.name === nodeName;
/** Lists and watches of what is bound to it. */
const bound: Rule = (attributes, nodeName) => isAmong(['list', 'watch'], attributes) && (attributes.fieldSelector ?? '').split(',').includes(`spec.nodeName=${nodeName}`);

/**
 * What a node works with, and no more: Secrets, roles and other nodes are none of it. Which objects it may write is also
 * a matter of what they are bound to: see modules/nodes/node-restriction.ts.
 */
const RULES: Readonly<Record<string, Rule>> = {
  nodes: own,
  'nodes/status': ownStatus,
  'leases.coordination.k8s.io': (attributes, nodeName) => attributes.namespace === NODE_LEASE_NAMESPACE && own(attributes, nodeName),
  events: (attributes) => isAmong(['get', 'create', ...WRITE], attributes) && (attributes.verb === 'create' || attributes.name !== ''),
  // It puts its finalizer on what it holds, and takes it off.
  'virtualmachines.corral.dev': (attributes, nodeName) => bound(attributes, nodeName) || isAmong(WRITE, attributes),
  'virtualmachines.corral.dev/status': (attributes) => isAmong(WRITE, attributes),
  // Any by name: a machine may continue from a snapshot that another node took.
  'virtualmachinesnapshots.corral.dev': (attributes, nodeName) => bound(attributes, nodeName) || attributes.verb === 'get',
  'virtualmachinesnapshots.corral.dev/status': (attributes) => isAmong(WRITE, attributes),
  'virtualmachineimages.corral.dev': (attributes) => isAmong(READ, attributes),
};

/** What node agents may do beside what roles allow them. Source: k8s.io/kubernetes/plugin/pkg/auth/authorizer/node. */
export function isAllowedToNode(user: Identity, attributes: RequestAttributes): boolean {
  if (!attributes.isResource) return user.groups.includes(NODE_BOOTSTRAP_GROUP) && attributes.verb === 'post' && attributes.path === NODE_CREDENTIALS_PATH;
  const nodeName = nodeNameOf(user);
  if (nodeName === undefined) return false;
  const { group, resource, subresource } = attributes;
  const rule = RULES[`${resource}${group === '' ? '' : `.${group}`}${subresource === '' ? '' : `/${subresource}`}`];
  return rule?.(attributes, nodeName) ?? false;
}
