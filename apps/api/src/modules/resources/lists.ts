import { Inject, Injectable } from '@nestjs/common';
import { Selection, type ListRequest } from '@corral/api-machinery';
import { isProblem, Problem, type KindDefinition, type KubeObject } from '@corral/contracts';
import { ChargedStore } from '../quota/charged-store.ts';
import { ContinueTokens } from './continue-tokens.ts';

export interface ListPage {
  readonly objects: readonly KubeObject[];
  readonly resourceVersion: number;
  readonly continueToken: string | undefined;
  /** Only known for lists without selectors. */
  readonly remaining: number | undefined;
}

/** What has to be fetched is fetched in pages, so that one query is never the whole table. */
const PAGE = 1000;

/** Source: k8s.io/apiserver/pkg/storage/etcd3, handleCompactedErrorForPaging. */
const CONTINUE_EXPIRED =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.';

/** Collections as they are or were, by page. */
@Injectable()
export class Lists {
  constructor(
    @Inject(ChargedStore) private readonly store: ChargedStore,
    @Inject(ContinueTokens) private readonly tokens: ContinueTokens,
  ) {}

  async read(kind: KindDefinition, namespace: string | undefined, request: ListRequest): Promise<ListPage> {
    const selection = new Selection(kind, { namespace, labelSelector: request.labelSelector, fieldSelector: request.fieldSelector });
    const { limit } = request;
    const token = request.continueToken === undefined ? undefined : await this.tokens.read(request.continueToken);
    let at = token?.version ?? (request.match === 'Exact' ? request.resourceVersion : undefined);
    let after = token?.after;
    if (request.resourceVersion !== undefined && at === undefined) await this.#requireReached(request.resourceVersion);

    const mayBeOld = request.resourceVersion === 0 && request.match !== 'Exact';

    const objects: KubeObject[] = [];
    for (;;) {
      // Selectors are finished here, so a page may have to be filled from several of the store's.
      const size = limit === undefined || !selection.isWholeCollection ? undefined : limit - objects.length;
      const query = { namespace: selection.namespace, ...selection.index, after, at, limit: size, batch: PAGE, mayBeOld };
      const page = await this.store.list(kind, query).catch(async (error: unknown) => {
        if (!token || !isProblem(error, 'version.expired')) throw error;
        throw new Problem('version.expired', CONTINUE_EXPIRED, { cause: error, continueToken: await this.tokens.write({ after: token.after }) });
      });
      at ??= page.resourceVersion;
      for (const [index, object] of page.objects.entries()) {
        after = { namespace: object.metadata.namespace ?? '', name: object.metadata.name };
        if (selection.matches(object)) objects.push(object);
        if (limit === undefined || objects.length < limit) continue;
        const remaining = page.remaining + page.objects.length - index - 1;
        const continueToken = remaining > 0 ? await this.tokens.write({ version: at, after }) : undefined;
        return { objects, resourceVersion: at, continueToken, remaining: remaining > 0 && selection.isWholeCollection ? remaining : undefined };
      }
      if (page.remaining === 0) return { objects, resourceVersion: at, continueToken: undefined, remaining: undefined };
    }
  }

  async #requireReached(version: number): Promise<void> {
    const current = await this.store.currentVersion();
    if (version <= current) return;
    throw new Problem('version.not-reached', `Timeout: Too large resource version: ${version}, current: ${current}`, {
      details: { causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }], retryAfterSeconds: 1 },
    });
  }
}
