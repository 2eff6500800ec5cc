import type { PolicyRule } from '@corral/contracts';
import { ANY, pathsInclude } from './policy-rule.ts';

/** What somebody would need to have to give it to others. Source: k8s.io/component-helpers/auth/rbac/validation, Covers. */

/** Everything: what only those who may do everything can hand on. */
export const FULL_AUTHORITY: readonly PolicyRule[] = [
  { verbs: [ANY], apiGroups: [ANY], resources: [ANY] },
  { verbs: [ANY], nonResourceURLs: [ANY] },
];

/** The rights among `wanted`, in their smallest pieces, that no single rule of `held` contains. */
export function missingRights(held: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  return smallestRights(wanted).filter((right) => !held.some((rule) => covers(rule, right)));
}

/** One verb on one resource of one group, for one name or for all; or one verb on one path: each as a rule of its own. */
export const smallestRights = (rules: readonly PolicyRule[]): PolicyRule[] => rules.flatMap(rightsOf);

function rightsOf({ verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] }: PolicyRule): PolicyRule[] {
  const names = resourceNames.length === 0 ? [{}] : resourceNames.map((name) => ({ resourceNames: [name] }));
  const ofResources = apiGroups.flatMap((group) =>
    resources.flatMap((resource) => verbs.flatMap((verb) => names.map((named) => ({ verbs: [verb], apiGroups: [group], resources: [resource], ...named })))),
  );
  const ofPaths = nonResourceURLs.flatMap((path) => verbs.map((verb) => ({ verbs: [verb], nonResourceURLs: [path] })));
  return [...ofResources, ...ofPaths];
}

function covers(rule: PolicyRule, piece: PolicyRule): boolean {
  const { apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  return (
    includesAll(rule.verbs, piece.verbs) &&
    includesAll(apiGroups, piece.apiGroups ?? []) &&
    (piece.resources ?? []).every((resource) => coversResource(resources, resource)) &&
    (resourceNames.length === 0 || (piece.resourceNames !== undefined && piece.resourceNames.every((name) => resourceNames.includes(name)))) &&
    (piece.nonResourceURLs ?? []).every((path) => pathsInclude(nonResourceURLs, path))
  );
}

const includesAll = (held: readonly string[], wanted: readonly string[]): boolean => held.includes(ANY) || wanted.every((value) => held.includes(value));

function coversResource(held: readonly string[], resource: string): boolean {
  if (held.includes(ANY) || held.includes(resource)) return true;
  const slash = resource.indexOf('/');
  return slash !== -1 && held.includes(`${ANY}${resource.slice(slash)}`);
}

/** The same rights in fewer rules: verbs on the same thing together. */
export function compactRules(rules: readonly PolicyRule[]): PolicyRule[] {
  const merged = new Map<string, PolicyRule>();
  for (const { verbs, ...rest } of rules) {
    const key = JSON.stringify([rest.apiGroups, rest.resources, rest.resourceNames, rest.nonResourceURLs]);
    merged.set(key, { ...rest, verbs: [...new Set([...(merged.get(key)?.verbs ?? []), ...verbs])] });
  }
  return [...merged.values()];
}

/** `{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`. Source: k8s.io/kubernetes/pkg/apis/rbac/v1, CompactString. */
export function describeRule({ apiGroups = [], resources = [], nonResourceURLs = [], resourceNames = [], verbs }: PolicyRule): string {
  const parts = [
    ['APIGroups', apiGroups], ['Resources', resources], ['NonResourceURLs', nonResourceURLs], ['ResourceNames', resourceNames], ['Verbs', verbs],
  ] as const;
  return `{${parts.filter(([, values]) => values.length > 0).map(([name, values]) => `${name}:${quoteAll(values)}`).join(', ')}}`;
}

/** As Go's %q writes a list of strings. */
export const quoteAll = (values: readonly string[]): string => `[${values.map((value) => JSON.stringify(value)).join(' ')}]`;
