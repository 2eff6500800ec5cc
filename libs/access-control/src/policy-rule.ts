import type { RequestAttributes } from '@corral/api-machinery';
import type { PolicyRule } from '@corral/contracts';

/** Stands for everything in verbs, groups, resources and paths. */
export const ANY = '*';

type ResourceAttributes = RequestAttributes & { readonly isResource: true };

/** Whether one of the rules allows a request. Source: k8s.io/component-helpers/auth/rbac/validation. */
export function rulesAllow(rules: readonly PolicyRule[], attributes: RequestAttributes): boolean {
  if (!attributes.isResource) return rules.some((rule) => has(rule.verbs, attributes.verb) && pathsInclude(rule.nonResourceURLs ?? [], attributes.path));
  const combined = attributes.subresource === '' ? attributes.resource : `${attributes.resource}/${attributes.subresource}`;
  return rules.some((rule) => allowsResource(rule, attributes, combined));
}

function allowsResource({ verbs, apiGroups = [], resources = [], resourceNames = [] }: PolicyRule, { verb, group, subresource, name }: ResourceAttributes, combined: string): boolean {
  return (
    has(verbs, verb) &&
    has(apiGroups, group) &&
    (has(resources, combined) || (subresource !== '' && resources.includes(`${ANY}/${subresource}`))) &&
    // A request for no object in particular has no name, and so no rule about names allows it.
    (resourceNames.length === 0 || resourceNames.includes(name))
  );
}

const has = (values: readonly string[], value: string): boolean => values.includes(value) || values.includes(ANY);

/** `/api/*` stands for every path that begins with `/api/`. */
export function pathsInclude(patterns: readonly string[], path: string): boolean {
  return patterns.some((pattern) => pattern === path || (pattern.endsWith(ANY) && path.startsWith(pattern.slice(0, -1))));
}
