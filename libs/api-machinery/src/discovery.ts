import { apiVersionOf, type KindDefinition } from '@corral/contracts';

/** Discovery documents, plain and aggregated. Source: Kubernetes API concepts, "Discovery". */

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'] as const;
const verbsOf = (kind: KindDefinition): readonly string[] => kind.verbs ?? (kind.undeletable ? VERBS.filter((verb) => verb !== 'deletecollection') : VERBS);
const STATUS_VERBS = ['get', 'patch', 'update'] as const;

/** A subresource served beside the generic ones, such as `exec`. */
export interface Subresource {
  readonly kind: KindDefinition;
  readonly name: string;
  readonly verbs: readonly string[];
  /** What it takes and answers, where that is another kind than its object's. */
  readonly type?: { readonly group: string; readonly version: string; readonly kind: string };
}

export const AGGREGATED_DISCOVERY_TYPE = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** Whether an Accept header asks for the aggregated document in the version we write. */
export function acceptsAggregatedDiscovery(accept: string | undefined): boolean {
  return (accept ?? '').split(',').some((range) => {
    const parameters = range.split(';').map((part) => part.trim());
    return parameters.includes('g=apidiscovery.k8s.io') && parameters.includes('v=v2') && parameters.includes('as=APIGroupDiscoveryList');
  });
}

/** The aggregated document of `/api` (the core group) or `/apis` (all others). */
export function aggregatedDiscovery(kinds: readonly KindDefinition[], subresources: readonly Subresource[], core: boolean): unknown {
  const groups = groupsOf(kinds).filter((group) => (group === '') === core);
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: groups.map((group) => ({
      metadata: group === '' ? {} : { name: group },
      versions: versionsOf(kinds, group).map((version) => ({
        version,
        freshness: 'Current',
        resources: kindsOf(kinds, group, version).map((kind) => ({
          resource: kind.plural,
          responseKind: { group: kind.group, version: kind.version, kind: kind.kind },
          scope: kind.scope,
          singularResource: kind.singular,
          verbs: verbsOf(kind),
          ...(kind.shortNames.length > 0 ? { shortNames: kind.shortNames } : {}),
          ...(kind.categories.length > 0 ? { categories: kind.categories } : {}),
          subresources: subresourcesOf(kind, subresources).map(({ name, verbs, type }) => ({
            subresource: name,
            responseKind: type ?? { group: kind.group, version: kind.version, kind: kind.kind },
            verbs,
          })),
        })),
      })),
    })),
  };
}

/** `/api` */
export function apiVersions(): unknown {
  return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] };
}

/** `/apis` */
export function apiGroupList(kinds: readonly KindDefinition[]): unknown {
  const groups = groupsOf(kinds).filter((group) => group !== '');
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map((group) => groupOf(kinds, group)) };
}

/** `/apis/<group>`; undefined when nobody has it. */
export function apiGroup(kinds: readonly KindDefinition[], group: string): unknown {
  return groupsOf(kinds).includes(group) ? { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(kinds, group) } : undefined;
}

function groupOf(kinds: readonly KindDefinition[], group: string) {
  const versions = versionsOf(kinds, group).map((version) => ({ groupVersion: `${group}/${version}`, version }));
  return { name: group, versions, preferredVersion: versions[0] };
}

/** `/api/v1` and `/apis/<group>/<version>`; undefined when nobody has it. */
export function apiResourceList(kinds: readonly KindDefinition[], subresources: readonly Subresource[], group: string, version: string): unknown {
  const found = kindsOf(kinds, group, version);
  const [first] = found;
  if (!first) return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: apiVersionOf(first),
    resources: found.flatMap((kind) => [
      {
        name: kind.plural,
        singularName: kind.singular,
        namespaced: kind.scope === 'Namespaced',
        kind: kind.kind,
        verbs: verbsOf(kind),
        ...(kind.shortNames.length > 0 ? { shortNames: kind.shortNames } : {}),
        ...(kind.categories.length > 0 ? { categories: kind.categories } : {}),
      },
      ...subresourcesOf(kind, subresources).map(({ name, verbs, type }) => ({
        name: `${kind.plural}/${name}`,
        singularName: '',
        namespaced: kind.scope === 'Namespaced',
        kind: type?.kind ?? kind.kind,
        verbs,
        // kubectl drain looks here for whether it can evict, and in which version. Source: kubectl/pkg/drain, CheckEvictionSupport.
        ...(type ? { group: type.group, version: type.version } : {}),
      })),
    ]),
  };
}

function subresourcesOf(kind: KindDefinition, more: readonly Subresource[]): readonly Omit<Subresource, 'kind'>[] {
  const status = kind.status ? [{ name: 'status', verbs: kind.verbs ? kind.verbs.filter((verb) => verb === 'get') : STATUS_VERBS }] : [];
  return [...status, ...more.filter((subresource) => subresource.kind === kind)];
}

const groupsOf = (kinds: readonly KindDefinition[]): string[] => [...new Set(kinds.map(({ group }) => group))];
const versionsOf = (kinds: readonly KindDefinition[], group: string): string[] =>
  [...new Set(kinds.filter((kind) => kind.group === group).map(({ version }) => version))];
const kindsOf = (kinds: readonly KindDefinition[], group: string, version: string): KindDefinition[] =>
  kinds.filter((kind) => kind.group === group && kind.version === version);
