import { apiPath, Problem, type KindDefinition, type WatchEvent } from '@corral/contracts';
import { Informer } from '@corral/reconcile';
import { asProblem, type Connection, type Query } from './connection.ts';
import { HttpObjectClient } from './http-object-client.ts';
import { parseNdjson } from './ndjson.ts';
import { problemOf } from './status-problem.ts';
import type { ApiObject, Resource } from './resource.ts';

export interface Selectors {
  /** Absent: every namespace. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface WriteSettings {
  /** Check everything, store nothing. */
  readonly dryRun?: boolean;
  readonly fieldManager?: string;
  /** Creates with the same key give the same object: safe to send again after a lost answer. */
  readonly idempotencyKey?: string;
}

export interface ApplySettings extends Omit<WriteSettings, 'idempotencyKey'> {
  readonly fieldManager: string;
  /** Take over fields that others own. */
  readonly force?: boolean;
}

export interface ResourceList<T> {
  readonly items: readonly T[];
  /** Where to begin a watch so that nothing is missed. */
  readonly resourceVersion: string;
}

type SpecOf<T> = T extends { readonly spec?: infer Spec } ? Spec : unknown;
type StatusOf<T> = T extends { readonly status?: infer Status } ? Status : unknown;

const PAGE = 500;
const WATCH_SECONDS = 240;
/** The server has that much longer than it was asked to end a watch. */
const WATCH_GRACE_MS = 30_000;
const WAIT_GRACE_MS = 10_000;

/** The verbs of one kind. Refusals are Problems, with the codes of the catalogue. */
export class ResourceClient<T extends ApiObject> {
  readonly #connection: Connection;
  readonly #resource: Resource<T>;

  constructor(connection: Connection, resource: Resource<T>) {
    this.#connection = connection;
    this.#resource = resource;
  }

  /** Undefined when there is none. */
  async get(namespace: string | undefined, name: string): Promise<T | undefined> {
    try {
      return await this.#connection.json<T>({ method: 'GET', path: this.#path(namespace, name) });
    } catch (error) {
      if (error instanceof Problem && error.code === 'object.not-found') return undefined;
      throw error;
    }
  }

  /** All of them, read in pages of one consistent state. */
  async list(selectors: Selectors = {}): Promise<ResourceList<T>> {
    const items: T[] = [];
    for (let token: string | undefined = ''; ; ) {
      const page: { readonly items: readonly T[]; readonly metadata: { readonly resourceVersion: string; readonly continue?: string } } =
        await this.#connection.json({
          method: 'GET',
          path: this.#path(selectors.namespace),
          query: { ...selectorQuery(selectors), limit: String(PAGE), ...(token ? { continue: token } : {}) },
        });
      items.push(...page.items);
      token = page.metadata.continue;
      if (!token) return { items, resourceVersion: page.metadata.resourceVersion };
    }
  }

  create(namespace: string | undefined, object: Omit<T, 'status'>, settings: WriteSettings = {}): Promise<T> {
    return this.#connection.json({
      method: 'POST',
      path: this.#path(namespace),
      query: writeQuery(settings),
      headers: settings.idempotencyKey === undefined ? {} : { 'idempotency-key': settings.idempotencyKey },
      body: this.#typed(object),
    });
  }

  /** Writes metadata and spec; refused with `object.conflict` when `metadata.resourceVersion` is stale. */
  replace(object: T, settings: WriteSettings = {}): Promise<T> {
    return this.#connection.json({ method: 'PUT', path: this.#pathOf(object), query: writeQuery(settings), body: this.#typed(object) });
  }

  /** JSON merge patch (RFC 7396): what is named changes, what is null goes. */
  patch(namespace: string | undefined, name: string, patch: object, settings: WriteSettings = {}): Promise<T> {
    return this.#connection.json({
      method: 'PATCH',
      path: this.#path(namespace, name),
      query: writeQuery(settings),
      headers: { 'content-type': 'application/merge-patch+json' },
      body: patch,
    });
  }

  /** Server-side apply: this manager wants exactly these fields; refused with `object.conflict` where another owns one. */
  apply(namespace: string | undefined, object: Omit<T, 'status'> & ApiObject, settings: ApplySettings): Promise<T> {
    return this.#connection.json({
      method: 'PATCH',
      path: this.#path(namespace, object.metadata?.name ?? ''),
      query: { ...writeQuery(settings), ...(settings.force ? { force: 'true' } : {}) },
      headers: { 'content-type': 'application/apply-patch+yaml' },
      body: this.#typed(object),
    });
  }

  /** Deleting what is gone succeeds. */
  async delete(namespace: string | undefined, name: string, preconditions?: { readonly uid?: string; readonly resourceVersion?: string }): Promise<void> {
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', ...(preconditions ? { preconditions } : {}) };
    try {
      await this.#connection.json({ method: 'DELETE', path: this.#path(namespace, name), body });
    } catch (error) {
      if (!(error instanceof Problem && error.code === 'object.not-found')) throw error;
    }
  }

  /** The object once a condition is True; `wait.timed-out` when the time is over. `condition` may be `Ready`, or `delete`. */
  wait(namespace: string | undefined, name: string, condition: string, timeoutSeconds: number): Promise<T> {
    const query = { for: condition === 'delete' ? 'delete' : `condition=${condition}`, timeoutSeconds: String(timeoutSeconds) };
    return this.#connection.json({ method: 'GET', path: this.#path(namespace, name, 'wait'), query }, timeoutSeconds * 1_000 + WAIT_GRACE_MS);
  }

  /** What happens after `resourceVersion`, bookmarks included, until the signal aborts or the server ends it: then go on from the last version. */
  async *watch(options: Selectors & { readonly resourceVersion: string; readonly signal: AbortSignal }): AsyncGenerator<WatchEvent<T>, void, undefined> {
    const connection = new AbortController();
    const signal = AbortSignal.any([options.signal, connection.signal, AbortSignal.timeout(WATCH_SECONDS * 1_000 + WATCH_GRACE_MS)]);
    const query = {
      ...selectorQuery(options),
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: options.resourceVersion,
      timeoutSeconds: String(WATCH_SECONDS),
    };
    try {
      const response = await this.#connection.open({ method: 'GET', path: this.#path(options.namespace), query }, signal);
      if (!response.body) return;
      for await (const value of parseNdjson(response.body)) {
        const event = value as WatchEvent<T>;
        if (event.type === 'ERROR') throw problemOf((event.object as { readonly code?: number }).code ?? 500, event.object);
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

  /** A local copy kept by list and watch; resumes where it was, and lists anew where the server forgot. */
  informer(selectors: Selectors = {}): Informer<SpecOf<T>, StatusOf<T>> {
    // The informer asks a kind only for its names.
    const kind = this.#resource as unknown as KindDefinition<SpecOf<T>, StatusOf<T>>;
    return new Informer({ client: new HttpObjectClient(this.#connection), kind, options: selectors });
  }

  #path(namespace?: string, name?: string, subresource?: string): string {
    return apiPath(this.#resource, namespace, name, subresource);
  }

  #pathOf({ metadata }: ApiObject): string {
    return this.#path(metadata?.namespace, metadata?.name);
  }

  #typed(object: object): object {
    const { group, version, kind } = this.#resource;
    return { ...object, apiVersion: group === '' ? version : `${group}/${version}`, kind };
  }
}

const selectorQuery = ({ labelSelector, fieldSelector }: Selectors): Query => ({ labelSelector, fieldSelector });

const writeQuery = ({ dryRun, fieldManager }: WriteSettings): Query => ({ dryRun: dryRun ? 'All' : undefined, fieldManager });
