import { AsyncLocalStorage } from 'node:async_hooks';
import { events, type KindDefinition, type KubeObject, type ObjectClient } from '@corral/contracts';

const counts = new AsyncLocalStorage<{ writes: number }>();

/** Runs this and counts the changes it makes through a client that is `counted`. Events are no changes. */
export async function countingWrites<T>(run: () => Promise<T>): Promise<{ readonly result: T; readonly writes: number }> {
  const count = { writes: 0 };
  const result = await counts.run(count, run);
  return { result, writes: count.writes };
}

/** The same client; its writes count where somebody counts. A write that changed nothing is none. */
export function counted(client: ObjectClient): ObjectClient {
  const tell = (kind: KindDefinition): void => {
    const count = counts.getStore();
    if (count && kind !== (events as unknown)) count.writes += 1;
  };
  const tellOf = (kind: unknown, before: KubeObject, after: KubeObject): void => {
    if (before.metadata.resourceVersion !== after.metadata.resourceVersion) tell(kind as KindDefinition);
  };
  return {
    get: (kind, namespace, name) => client.get(kind, namespace, name),
    list: (kind, options) => client.list(kind, options),
    watch: (kind, options) => client.watch(kind, options),
    async create(kind, object) {
      const created = await client.create(kind, object);
      tell(kind as KindDefinition);
      return created;
    },
    async replace(kind, object) {
      const written = await client.replace(kind, object);
      tellOf(kind, object, written);
      return written;
    },
    async replaceStatus(kind, object) {
      const written = await client.replaceStatus(kind, object);
      tellOf(kind, object, written);
      return written;
    },
    async delete(kind, namespace, name, preconditions) {
      await client.delete(kind, namespace, name, preconditions);
      tell(kind as KindDefinition);
    },
  };
}
