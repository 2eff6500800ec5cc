import { apiVersionOf, Problem, type KindDefinition, type KubeObject, type ObjectClient, type WatchEvent } from '@corral/contracts';
import { Selection, type Decoded } from '@corral/api-machinery';
import { CONTROLLER, CONTROLLER_FIELD_MANAGER } from '../../platform/auth/user.ts';
import type { Resources } from './resources.service.ts';
import type { Watches } from './watches.ts';

const BOOKMARK_EVERY_MS = 30_000;

/** The ObjectClient contract inside this process. Its objects have the types of their kinds because every write was parsed. */
export function objectClientOf(resources: Resources, watches: Watches): ObjectClient {
  const everything = { labelSelector: undefined, fieldSelector: undefined, limit: undefined, continueToken: undefined, resourceVersion: undefined, match: undefined };
  const options = { user: CONTROLLER, fieldManager: CONTROLLER_FIELD_MANAGER, dryRun: false, fieldValidation: 'Strict' } as const;

  const client = {
    get: (kind: KindDefinition, namespace: string | undefined, name: string) => orUndefined(resources.get(kind, { namespace, name })),

    async list(kind: KindDefinition, query: Parameters<ObjectClient['list']>[1] = {}) {
      const { objects, resourceVersion } = await resources.list(kind, query.namespace, { ...everything, labelSelector: query.labelSelector, fieldSelector: query.fieldSelector });
      return { items: objects, resourceVersion: String(resourceVersion) };
    },

    create: (kind: KindDefinition, object: Parameters<ObjectClient['create']>[1]) =>
      resources.create(kind, decodedOf(kind, object), { namespace: object.metadata.namespace }, options),

    replace: (kind: KindDefinition, object: KubeObject) => resources.replace(kind, addressOf(object), decodedOf(kind, object), options),

    replaceStatus: (kind: KindDefinition, object: KubeObject) => resources.replaceStatus(kind, addressOf(object), decodedOf(kind, object), options),

    async delete(kind: KindDefinition, namespace: string | undefined, name: string, preconditions?: { readonly uid?: string }) {
      await orUndefined(resources.delete(kind, { namespace, name }, { dryRun: false, propagationPolicy: 'Background', ...(preconditions ? { preconditions } : {}) }));
    },

    async *watch(kind: KindDefinition, query: Parameters<ObjectClient['watch']>[1]): AsyncGenerator<WatchEvent> {
      const selection = new Selection(kind, query);
      const start = { from: 'Version', version: Number(query.resourceVersion) } as const;
      for await (const item of watches.watch(selection, { start, marksInitialEnd: false, bookmarkEveryMs: BOOKMARK_EVERY_MS, signal: query.signal })) {
        yield item.type === 'Event' ? item.event : bookmark(kind, item.resourceVersion);
      }
    },
  };
  return client as unknown as ObjectClient;
}

const addressOf = ({ metadata }: KubeObject) => ({ namespace: metadata.namespace, name: metadata.name });

/** As it would have arrived over the wire: a copy without undefined fields. */
function decodedOf(kind: KindDefinition, object: object): Decoded {
  const value: unknown = JSON.parse(JSON.stringify({ ...object, apiVersion: apiVersionOf(kind), kind: kind.kind }));
  return { value, duplicates: [] };
}

function bookmark(kind: KindDefinition, version: number): WatchEvent {
  const metadata = { resourceVersion: String(version) } as KubeObject['metadata'];
  return { type: 'BOOKMARK', object: { apiVersion: apiVersionOf(kind), kind: kind.kind, metadata } };
}

async function orUndefined<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result;
  } catch (error) {
    if (error instanceof Problem && error.code === 'object.not-found') return undefined;
    throw error;
  }
}
