import type { RequestAttributes } from '@corral/api-machinery';
import type { CredentialScope } from '@corral/contracts';

/** Groups whose requests are questions about oneself: a client asks them before anything else. */
const SELF_REVIEWS = ['selfsubjectaccessreviews', 'selfsubjectrulesreviews', 'selfsubjectreviews'];
/** With these one would make a credential without the scope. */
const CREDENTIALS = ['apikeys', 'serviceaccounts/token'];

/**
 * Whether a credential of this scope may be used for this at all; what its holder may do is decided elsewhere. No scope
 * lets a credential make another one, or be somebody else.
 */
export function isInScope(scope: CredentialScope, attributes: RequestAttributes): boolean {
  if (!attributes.isResource) return isAboutTheApi(attributes) || (isWhole(scope.namespaces) && includes(scope.verbs, attributes.verb) && includes(scope.resources, '*'));
  const { verb, resource, subresource, namespace } = attributes;
  if (SELF_REVIEWS.includes(resource)) return true;
  const what = subresource === '' ? resource : `${resource}/${subresource}`;
  if (verb === 'impersonate' || (verb === 'create' && CREDENTIALS.includes(what))) return false;
  return (
    (isWhole(scope.namespaces) || (namespace !== '' && includes(scope.namespaces ?? [], namespace))) &&
    includes(scope.verbs, verb) &&
    (includes(scope.resources, what) || (subresource !== '' && (scope.resources.includes(`${resource}/*`) || scope.resources.includes(`*/${subresource}`))))
  );
}

const includes = (list: readonly string[], value: string): boolean => list.includes('*') || list.includes(value);
const isWhole = (namespaces: readonly string[] | undefined): boolean => namespaces?.includes('*') ?? false;

/** Discovery, health, and what a session is for: says nothing about any object. A sign-in link would outlive the key, so it is not here. */
function isAboutTheApi({ verb, path }: { verb: string; path: string }): boolean {
  if (['/auth/session', '/auth/sessions', '/auth/tickets', '/live'].includes(path)) return true;
  return (verb === 'get' || verb === 'head') && (/^\/(api|apis|openapi)(\/|$)/.test(path) || ['/version', '/livez', '/readyz', '/healthz'].includes(path));
}
