import { Injectable } from '@nestjs/common';
import type { RouteDescription, ServedRoute } from '@corral/api-machinery';

/** Every route this server has, as it was registered: what the OpenAPI documents say is there. */
@Injectable()
export class RouteCatalogue {
  readonly #routes = new Map<string, ServedRoute>();

  /** `pattern` is the router's: `/api/v1/nodes/:name`. */
  add(method: string, pattern: string, description: RouteDescription | undefined, isWebSocket = false): void {
    const path = pattern.replaceAll(/:(\w+)/g, '{$1}').replace(/\*$/, '{path}');
    const key = `${method} ${path}`;
    const known = this.#routes.get(key);
    this.#routes.set(key, { method, path, description: description ?? known?.description, isWebSocket: isWebSocket || known?.isWebSocket === true });
  }

  get routes(): readonly ServedRoute[] {
    return [...this.#routes.values()];
  }
}
