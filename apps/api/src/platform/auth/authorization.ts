import type { Decision } from '@corral/access-control';
import type { RequestAttributes } from '@corral/api-machinery';
import { Problem, type PolicyRule } from '@corral/contracts';
import { Inject, Injectable } from '@nestjs/common';
import { isInScope } from './credential-scope.ts';
import { isAllowedToNode } from './node-authorizer.ts';
import { OpenConnections } from './open-connections.ts';
import { PolicyCopy } from './policy-copy.ts';
import { guardOf } from './route-guards.ts';
import { ADMIN_GROUP, AUTHENTICATED_GROUP, type Actor, type Identity, type User } from './user.ts';

/**
 * Who may do what, from what a request asks for and nothing else: a route that is added later is closed until a role opens
 * it. In this order: what the credential is good for, the group of masters, what needs no right, nodes, roles and bindings.
 */
@Injectable()
export class Authorizer {
  constructor(
    @Inject(PolicyCopy) private readonly copy: PolicyCopy,
    @Inject(OpenConnections) connections: OpenConnections,
  ) {
    connections.recheckWith({ isAllowed: (user, attributes) => this.decide(user, attributes).isAllowed, version: () => copy.version });
  }

  decide(user: Actor, asked: RequestAttributes): Decision {
    const attributes = asGet(asked);
    if (user.credential?.scope && !isInScope(user.credential.scope, attributes)) return NOT_ALLOWED;
    if (user.groups.includes(ADMIN_GROUP)) return allowed(`allowed to group "${ADMIN_GROUP}"`);
    if (!attributes.isResource && isOpen(user, attributes)) return allowed('open');
    if (isAllowedToNode(user, attributes)) return allowed('allowed to nodes');
    return this.copy.policy.allows(user, attributes);
  }

  /** Refuses in Kubernetes's words: 401 for nobody, 403 for somebody; 503 while roles are not known. */
  require(user: User, attributes: RequestAttributes): void {
    if (this.decide(user, attributes).isAllowed) return;
    if (user.via === 'Nothing') throw new Problem('request.unauthenticated', 'Unauthorized');
    throw forbidden(user, attributes);
  }

  /** What roles allow somebody in a namespace, or everywhere when it is empty. */
  rulesFor(user: Identity, namespace: string): PolicyRule[] {
    return this.copy.policy.rulesFor(user, namespace);
  }

  /** The namespaces somebody was given rights in; `*` alone when they may list all there are. */
  namespacesOf(user: Actor): readonly string[] {
    if (this.decide(user, LIST_NAMESPACES).isAllowed) return ['*'];
    const reach = user.credential?.scope?.namespaces;
    const held = user.groups.includes(ADMIN_GROUP) ? (reach ?? []) : this.copy.policy.namespacesOf(user);
    return reach === undefined || reach.includes('*') ? held : held.filter((namespace) => reach.includes(namespace));
  }
}

const LIST_NAMESPACES: RequestAttributes = { isResource: true, verb: 'list', group: '', version: 'v1', resource: 'namespaces', subresource: '', namespace: '', name: '' };

export function forbidden(user: Identity, attributes: RequestAttributes): Problem {
  if (!attributes.isResource) return new Problem('request.forbidden', `forbidden: User "${user.name}" cannot ${attributes.verb} path "${attributes.path}"`);
  const { group, resource, subresource, namespace, name, verb } = attributes;
  const qualified = `${resource}${group === '' ? '' : `.${group}`}`;
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const what = subresource === '' ? resource : `${resource}/${subresource}`;
  return new Problem(
    'request.forbidden',
    `${qualified}${name === '' ? '' : ` "${name}"`} is forbidden: User "${user.name}" cannot ${verb} resource "${what}" in API group "${group}" ${where}`,
    { details: { ...(name ? { name } : {}), group, kind: resource } },
  );
}

const NOT_ALLOWED: Decision = { isAllowed: false };
const allowed = (reason: string): Decision => ({ isAllowed: true, reason });

/** To wait for an object is to get it, later. */
function asGet(attributes: RequestAttributes): RequestAttributes {
  return attributes.isResource && attributes.subresource === 'wait' ? { ...attributes, subresource: '' } : attributes;
}

/**
 * Sockets into a guest carry what is typed as well as what is shown, and a handshake is always a GET: whoever may only look
 * must not get one. Kubernetes asks for `create` on pods/exec too, whichever way it comes (from 1.35).
 */
export function socketAttributes(attributes: RequestAttributes): RequestAttributes {
  return attributes.isResource && attributes.subresource !== '' ? { ...attributes, verb: 'create' } : attributes;
}

function isOpen(user: Identity, { verb, path }: { readonly verb: string; readonly path: string }): boolean {
  const guard = guardOf(verb, path);
  return guard === 'Open' || (guard === 'Authenticated' && user.groups.includes(AUTHENTICATED_GROUP));
}
