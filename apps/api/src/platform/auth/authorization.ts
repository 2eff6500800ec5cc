import { Problem } from '@corral/contracts';
import type { RequestAttributes } from '@corral/api-machinery';
import { isInScope } from './credential-scope.ts';
import { ADMIN_GROUP, NODES_GROUP, type User } from './user.ts';

/**
 * Who may do what, in one place, from what a request asks for and nothing else: a route that is added later is closed
 * until a rule here opens it.
 */
export function isAllowed(user: User, attributes: RequestAttributes): boolean {
  if (user.credential?.scope && !isInScope(user.credential.scope, attributes)) return false;
  if (user.groups.includes(ADMIN_GROUP)) return true;
  if (attributes.isResource) return user.groups.includes(NODES_GROUP) && isAllowedToNodes(attributes);
  return isOpenToAll(attributes) || (user.via !== 'Nothing' && isOpenToUsers(attributes.path));
}

/** Refuses in Kubernetes's words: 401 for nobody, 403 for somebody. */
export function requireAllowed(user: User, attributes: RequestAttributes): void {
  if (isAllowed(user, attributes)) return;
  if (user.via === 'Nothing') throw new Problem('request.unauthenticated', 'Unauthorized');
  if (!attributes.isResource) {
    throw new Problem('request.forbidden', `forbidden: User "${user.name}" cannot ${attributes.verb} path "${attributes.path}"`);
  }
  const { group, resource, subresource, namespace, name, verb } = attributes;
  const qualified = `${resource}${group === '' ? '' : `.${group}`}`;
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const what = subresource === '' ? resource : `${resource}/${subresource}`;
  throw new Problem(
    'request.forbidden',
    `${qualified}${name === '' ? '' : ` "${name}"`} is forbidden: User "${user.name}" cannot ${verb} resource "${what}" in API group "${group}" ${where}`,
    { details: { ...(name ? { name } : {}), group, kind: resource } },
  );
}

const HEALTH = ['/livez', '/readyz', '/healthz', '/version'];
/** Everything the API itself serves; what is left are the console's files, which hold no secret. */
const API_ROOTS = ['api', 'apis', 'openapi', 'metrics', 'auth', 'live', 'admin'];

function isOpenToAll({ verb, path }: { verb: string; path: string }): boolean {
  if (HEALTH.includes(path)) return true;
  if (path === '/auth/sessions') return verb === 'post' || verb === 'delete';
  return (verb === 'get' || verb === 'head') && !API_ROOTS.includes(path.split('/').find((part) => part !== '') ?? '');
}

/** Discovery must be open to whoever signed in, or kubectl fails before its request. What is behind `/live` is checked per watch. */
function isOpenToUsers(path: string): boolean {
  return /^\/(api|apis|openapi)(\/|$)/.test(path) || ['/auth/session', '/auth/tickets', '/live'].includes(path);
}

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

function isAllowedToNodes({ verb, resource, subresource }: { verb: string; resource: string; subresource: string }): boolean {
  if (READ.includes(verb)) return resource !== 'secrets' && (subresource === '' || subresource === 'status' || subresource === 'wait');
  return NODE_WRITES[subresource === '' ? resource : `${resource}/${subresource}`]?.includes(verb) ?? false;
}
