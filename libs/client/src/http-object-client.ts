import {
  apiPath,
  apiVersionOf,
  type KindDefinition,
  type KubeObject,
  type ListOptions,
  type NewObject,
  type ObjectClient,
  type ObjectList,
  Problem,
  type WatchEvent,
} from '@corral/contracts';
import { asProblem, Connection, type ConnectionOptions } from './connection.ts';
import { parseNdjson } from './ndjson.ts';
import { problemOf } from './status-problem.ts';

/** The server is asked to end a watch after this; a connection that lives much longer is dead and nobody told. */
const WATCH_SECONDS = 480;
const WATCH_DEADLINE_MS = (WATCH_SECONDS + 30) * 1_000;

/** The API over HTTP, for parts of Corral that share its kinds. What cannot be reached, or is not answered in time, is `dependency.unavailable`. */
export class HttpObjectClient implements ObjectClient {
  readonly #connection: Connection;

  constructor(connection: Connection | ConnectionOptions) {
    this.#connection = connection instanceof Connection ? connection : new Connection(connection);
  }

  async get<Spec, Status>(
    kind: KindDefinition<Spec, Status>,
    namespace: string | undefined,
    name: string,
  ): Promise<KubeObject<Spec, Status> | undefined> {
    try {
      return await this.#connection.json<KubeObject<Spec, Status>>({ method: 'GET', path: apiPath(kind, namespace, name) });
    } catch (error) {
      if (error instanceof Problem && error.code === 'object.not-found') return undefined;
      throw error;
    }
  }

  async list<Spec, Status>(
    kind: KindDefinition<Spec, Status>,
    options: ListOptions = {},
  ): Promise<ObjectList<KubeObject<Spec, Status>>> {
    const list = await this.#connection.json<{
      readonly items: readonly KubeObject<Spec, Status>[];
      readonly metadata: { readonly resourceVersion: string };
    }>({
      method: 'GET',
      path: apiPath(kind, options.namespace),
      query: selectors(options),
    });
    // Kubernetes leaves these two out of a list's items where it may.
    const typed = list.items.map((item) => ({ ...item, apiVersion: apiVersionOf(kind), kind: kind.kind }));
    return { items: typed, resourceVersion: list.metadata.resourceVersion };
  }

  create<Spec, Status>(kind: KindDefinition<Spec, Status>, object: NewObject<Spec>): Promise<KubeObject<Spec, Status>> {
    return this.#connection.json({ method: 'POST', path: apiPath(kind, object.metadata.namespace), body: typed(kind, object) });
  }

  replace<Spec, Status>(
    kind: KindDefinition<Spec, Status>,
    object: KubeObject<Spec, Status>,
  ): Promise<KubeObject<Spec, Status>> {
    return this.#connection.json({
      method: 'PUT',
      path: apiPath(kind, object.metadata.namespace, object.metadata.name),
      body: typed(kind, object),
    });
  }

  replaceStatus<Spec, Status>(
    kind: KindDefinition<Spec, Status>,
    object: KubeObject<Spec, Status>,
  ): Promise<KubeObject<Spec, Status>> {
    return this.#connection.json({
      method: 'PUT',
      path: apiPath(kind, object.metadata.namespace, object.metadata.name, 'status'),
      body: typed(kind, object),
    });
  }

  async delete<Spec, Status>(
    kind: KindDefinition<Spec, Status>,
    namespace: string | undefined,
    name: string,
    preconditions?: { readonly uid?: string },
  ): Promise<void> {
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', ...(preconditions ? { preconditions } : {}) };
    try {
      await this.#connection.json({ method: 'DELETE', path: apiPath(kind, namespace, name), body });
    } catch (error) {
      if (!(error instanceof Problem && error.code === 'object.not-found')) throw error;
    }
  }

  async *watch<Spec, Status>(
    kind: KindDefinition<Spec, Status>,
    options: ListOptions & { readonly resourceVersion: string; readonly signal: AbortSignal },
  ): AsyncGenerator<WatchEvent<KubeObject<Spec, Status>>, void, undefined> {
    const connection = new AbortController();
    const signal = AbortSignal.any([options.signal, connection.signal, AbortSignal.timeout(WATCH_DEADLINE_MS)]);
    try {
      const response = await this.#connection.open(
        {
          method: 'GET',
          path: apiPath(kind, options.namespace),
          query: {
            ...selectors(options),
            watch: 'true',
            allowWatchBookmarks: 'true',
            resourceVersion: options.resourceVersion,
            timeoutSeconds: String(WATCH_SECONDS),
          },
        },
        signal,
      );
      if (!response.body) return;
      for await (const value of parseNdjson(response.body)) {
        const event = value as WatchEvent<KubeObject<Spec, Status>>;
        if (event.type === 'ERROR')
          throw problemOf((event.object as { readonly code?: number }).code ?? 500, event.object);
        yield event;
        if (options.signal.aborted) return;
      }
    } catch (error) {
      if (options.signal.aborted) return;
      throw asProblem(error);
    } finally {
      // Whoever stops listening must not leave the server sending.
      connection.abort();
    }
  }
}

const typed = (kind: Pick<KindDefinition, 'group' | 'version' | 'kind'>, object: object): object => ({
  ...object,
  apiVersion: apiVersionOf(kind),
  kind: kind.kind,
});

const selectors = ({ labelSelector, fieldSelector }: ListOptions): Record<string, string | undefined> => ({
  labelSelector,
  fieldSelector,
});
