import type { IncomingMessage } from 'node:http';
import type { RequestAttributes } from '@corral/api-machinery';
import { malformed } from '@corral/api-machinery';
import { serviceAccountOf } from '@corral/contracts';
import { AUTHENTICATED_GROUP, UNAUTHENTICATED_GROUP, type Identity } from './user.ts';

/** Somebody to act as, and what the caller must be allowed for it. Source: k8s.io/apiserver/pkg/endpoints/filters, impersonation. */
export interface Impersonation {
  readonly identity: Identity;
  readonly required: readonly RequestAttributes[];
}

const PREFIX = 'impersonate-';
const EXTRA = `${PREFIX}extra-`;
const ANONYMOUS_USER = 'system:anonymous';

/** Undefined when nobody is to be impersonated; refuses with 400 groups, uids or extras of nobody. */
export function impersonationOf(request: Pick<IncomingMessage, 'headers' | 'headersDistinct'>): Impersonation | undefined {
  const sent = Object.keys(request.headers).filter((name) => name.startsWith(PREFIX));
  if (sent.length === 0) return undefined;
  const headers = request.headersDistinct;
  const name = headers[`${PREFIX}user`]?.[0] ?? '';
  if (name === '') throw malformed(`requested ${sent.join(', ')} without impersonating a user`);

  const groups = headers[`${PREFIX}group`] ?? [];
  const uid = headers[`${PREFIX}uid`]?.[0];
  const extra = Object.fromEntries(sent.filter((header) => header.startsWith(EXTRA)).map((header) => [decoded(header.slice(EXTRA.length)), headers[header] ?? []]));
  const { namespace, name: account } = serviceAccountOf(name) ?? {};
  const user = namespace !== undefined && account !== undefined ? asked('', 'serviceaccounts', account, { namespace }) : asked('', 'users', name);
  return {
    identity: {
      name,
      groups: withStandardGroups(name, groups.length === 0 && namespace !== undefined ? ['system:serviceaccounts', `system:serviceaccounts:${namespace}`] : groups),
      ...(uid === undefined ? {} : { uid }),
      ...(Object.keys(extra).length === 0 ? {} : { extra }),
    },
    required: [
      user,
      ...groups.map((group) => asked('', 'groups', group)),
      ...(uid === undefined ? [] : [asked(AUTHENTICATION_GROUP, 'uids', uid)]),
      ...Object.entries(extra).flatMap(([key, values]) => values.map((value) => asked(AUTHENTICATION_GROUP, 'userextras', value, { subresource: key }))),
    ],
  };
}
const AUTHENTICATION_GROUP = 'authentication.k8s.io';

function asked(group: string, resource: string, name: string, more: { namespace?: string; subresource?: string } = {}): RequestAttributes {
  return { isResource: true, verb: 'impersonate', group, version: 'v1', resource, subresource: more.subresource ?? '', namespace: more.namespace ?? '', name };
}

/** Whoever is somebody is authenticated, and whoever is nobody is not. */
function withStandardGroups(name: string, groups: readonly string[]): string[] {
  if (groups.includes(AUTHENTICATED_GROUP) || groups.includes(UNAUTHENTICATED_GROUP)) return [...groups];
  return [...groups, name === ANONYMOUS_USER ? UNAUTHENTICATED_GROUP : AUTHENTICATED_GROUP];
}

function decoded(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}
