import { apiPath } from '@corral/contracts';
import { useSearch } from '@tanstack/react-router';
import type { Resource } from '../api/resources.ts';

export const DEFAULT_NAMESPACE = 'default';
export const ALL_NAMESPACES = '*';

/** The namespace shown; undefined when all are. */
export function useNamespace(): string | undefined {
  const { ns } = useSearch({ from: '/app' });
  return ns === ALL_NAMESPACES ? undefined : (ns ?? DEFAULT_NAMESPACE);
}

/** Path of a kind's list in the namespace shown. */
export const useCollectionPath = (resource: Resource): string => apiPath(resource, useNamespace());
