import { apiPath, type Namespace } from '@corral/contracts';
import { useSearch } from '@tanstack/react-router';
import { NAMESPACES, type Resource } from '../api/resources.ts';
import { useCollection } from '../live/live.ts';
import { useSession } from './session.ts';

const USUAL_NAMESPACE = 'default';
export const ALL_NAMESPACES = '*';

/** Where somebody has rights; `*` alone when they may see every namespace. */
function useReach(): readonly string[] {
  const session = useSession();
  return session.state === 'SignedIn' ? session.namespaces : [];
}

/** Whether somebody sees more than their own namespaces. */
export const useSeesAll = (): boolean => useReach().includes(ALL_NAMESPACES);

/** The namespace shown when none was chosen: the usual one, or the first that a tenant has rights in. */
export function useDefaultNamespace(): string {
  const reach = useReach();
  return reach.includes(ALL_NAMESPACES) || reach.includes(USUAL_NAMESPACE) ? USUAL_NAMESPACE : (reach[0] ?? USUAL_NAMESPACE);
}

/** The namespace shown; undefined when all are. */
export function useNamespace(): string | undefined {
  const { ns } = useSearch({ from: '/app' });
  const usual = useDefaultNamespace();
  return ns === ALL_NAMESPACES ? undefined : (ns ?? usual);
}

/** Every namespace one can choose, in order. */
export function useNamespaces(): readonly string[] {
  const reach = useReach();
  const seesAll = useSeesAll();
  const usual = useDefaultNamespace();
  const { items } = useCollection<Namespace>(seesAll ? apiPath(NAMESPACES) : undefined);
  return [...new Set([usual, ...(seesAll ? items.map(({ metadata }) => metadata.name) : reach)])].sort();
}

/** Path of a kind's list in the namespace shown. */
export const useCollectionPath = (resource: Resource): string => apiPath(resource, useNamespace());
