import type { RequestAttributes } from '@corral/api-machinery';
import { NODES_GROUP, type Identity } from './user.ts';

const READ = ['get', 'list', 'watch'];
const WRITE = ['create', 'update', 'patch'];
/** What nodes may write, and how. They read everything and delete nothing. */
const NODE_WRITES: Readonly<Record<string, readonly string[]>> = {
  nodes: WRITE,
  'nodes/status': WRITE,
  leases: WRITE,
  events: WRITE,
  // A node puts its finalizer on what it holds, and takes it off.
  virtualmachines: ['update', 'patch'],
  'virtualmachines/status': ['update', 'patch'],
  virtualmachinesnapshots: ['update', 'patch'],
  'virtualmachinesnapshots/status': ['update', 'patch'],
};
/** Nothing that a node works with. */
const KEPT_FROM_NODES = ['secrets'];

/** What node agents may do beside what roles allow them. Source: k8s.io/kubernetes/plugin/pkg/auth/authorizer/node. */
export function isAllowedToNode({ groups }: Identity, attributes: RequestAttributes): boolean {
  if (!groups.includes(NODES_GROUP) || !attributes.isResource) return false;
  const { verb, resource, subresource } = attributes;
  if (READ.includes(verb)) return !KEPT_FROM_NODES.includes(resource) && (subresource === '' || subresource === 'status');
  return NODE_WRITES[subresource === '' ? resource : `${resource}/${subresource}`]?.includes(verb) ?? false;
}
