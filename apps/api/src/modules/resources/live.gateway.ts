import { Inject } from '@nestjs/common';
import { WebSocketGateway, type OnGatewayConnection } from '@nestjs/websockets';
import { readWatchRequest, requestAttributes, routeNotFound, Selection } from '@corral/api-machinery';
import { KINDS, toStatus, type KindDefinition } from '@corral/contracts';
import type { WebSocket } from 'ws';
import { z } from 'zod';
import { Authorizer } from '../../platform/auth/authorization.ts';
import { OpenConnections } from '../../platform/auth/open-connections.ts';
import { problemOf } from '../../platform/http/status-reply.ts';
import type { GatewayOptions, UpgradeRequest } from '../../platform/http/gateway-server.ts';
import { parseTarget } from '../../platform/http/request-target.ts';
import { Traffic } from '../../platform/traffic/traffic.ts';
import { PacedSocket } from './paced-socket.ts';
import { Watches } from './watches.ts';

const PING_EVERY_MS = 15_000;
const BOOKMARK_EVERY_MS = 30_000;
const MAX_WATCHES = 64;
const MAX_MESSAGE_BYTES = 16 * 1024;

const Message = z.discriminatedUnion('type', [
  z.object({ id: z.number().int(), type: z.literal('watch'), path: z.string().max(2048), resourceVersion: z.string().max(20).optional() }),
  z.object({ id: z.number().int(), type: z.literal('stop') }),
]);

/** `/live`: every watch of a console tab over one socket, each with the caller's own rights. */
@WebSocketGateway<GatewayOptions>({ path: '/live', description: { summary: 'A WebSocket: many watches at once, for the console.' }, maxMessageBytes: MAX_MESSAGE_BYTES })
export class LiveGateway implements OnGatewayConnection<WebSocket> {
  constructor(
    @Inject(Watches) private readonly watches: Watches,
    @Inject(Authorizer) private readonly authorizer: Authorizer,
    @Inject(OpenConnections) private readonly connections: OpenConnections,
    @Inject(Traffic) private readonly traffic: Traffic,
  ) {}

  handleConnection(socket: WebSocket, request: UpgradeRequest): void {
    const running = new Map<number, AbortController>();
    const paced = new PacedSocket(socket);
    const ping = (): void => void paced.send({ type: 'ping', now: new Date().toISOString() });
    const timer = setInterval(ping, PING_EVERY_MS);
    ping();
    socket.on('close', () => {
      clearInterval(timer);
      for (const abort of running.values()) abort.abort();
    });
    socket.on('message', (data) => {
      const message = parseMessage(data.toString());
      if (!message) return socket.close(1007, 'not a message of this protocol');
      running.get(message.id)?.abort();
      if (message.type === 'stop') return;
      if (running.size >= MAX_WATCHES) return socket.close(1008, `at most ${MAX_WATCHES} watches`);
      const abort = new AbortController();
      running.set(message.id, abort);
      void this.#follow(message, request, paced, abort).finally(() => {
        abort.abort();
        if (running.get(message.id) === abort) running.delete(message.id);
      });
    });
  }

  async #follow(message: z.output<typeof Message> & { type: 'watch' }, request: UpgradeRequest, paced: PacedSocket, abort: AbortController): Promise<void> {
    const { id } = message;
    const { signal } = abort;
    try {
      const url = parseTarget(message.path);
      const query = (name: string): string | undefined => (name === 'watch' ? 'true' : (url.searchParams.get(name) ?? undefined));
      const attributes = requestAttributes('GET', url.pathname, query);
      // A watch begins with a list: over a socket it costs what it costs over HTTP.
      await this.traffic.pace(request.user, attributes);
      if (signal.aborted) return await paced.send({ id, type: 'CLOSED' });
      this.authorizer.require(request.user, attributes);
      signal.addEventListener('abort', this.connections.add(request.user, attributes, () => abort.abort()), { once: true });
      const { kind, namespace } = collectionOf(url.pathname);
      const watch = readWatchRequest((name) => (name === 'resourceVersion' ? message.resourceVersion : query(name)));
      const selection = new Selection(kind, { namespace, labelSelector: watch.labelSelector, fieldSelector: watch.fieldSelector });
      const options = { start: watch.start, marksInitialEnd: watch.start.from === 'Existing', bookmarkEveryMs: BOOKMARK_EVERY_MS, signal };
      for await (const item of this.watches.watch(selection, options)) {
        if (signal.aborted) break;
        if (item.type === 'Event') await paced.send({ id, ...item.event });
        else await paced.send({ id, type: 'BOOKMARK', object: { metadata: { resourceVersion: String(item.resourceVersion), ...(item.isInitialEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}) } } });
      }
    } catch (error) {
      await paced.send({ id, type: 'ERROR', object: toStatus(problemOf(error) ?? error) });
    }
    await paced.send({ id, type: 'CLOSED' });
  }
}

function parseMessage(text: string): z.output<typeof Message> | undefined {
  try {
    return Message.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** The kind and namespace of a collection's path. */
function collectionOf(path: string): { kind: KindDefinition; namespace: string | undefined } {
  const attributes = requestAttributes('GET', path, () => undefined);
  const kind = attributes.isResource
    ? KINDS.find(({ group, version, plural }) => group === attributes.group && version === attributes.version && plural === attributes.resource)
    : undefined;
  if (!kind || !attributes.isResource || attributes.name !== '') throw routeNotFound();
  return { kind, namespace: kind.scope === 'Namespaced' ? attributes.namespace || undefined : undefined };
}
