import { once } from 'node:events';
import { presentBookmark, presentEventObject, type Representation, type Selection, type WatchRequest } from '@corral/api-machinery';
import { toStatus } from '@corral/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { problemOf } from '../../platform/http/status-reply.ts';
import type { RequestMetrics } from '../../platform/telemetry/request-metrics.ts';
import { chunkOf, contentOf, eventChunk } from './object-json.ts';
import type { Watches, WatchItem } from './watches.ts';

const BOOKMARK_EVERY_MS = 60_000;
/** Without a wish of the client a watch lasts 30 to 60 minutes, spread so that they do not all come back at once. */
const DEFAULT_TIMEOUT_MS = 30 * 60_000;
/** A client that takes nothing for this long is cut off; it resumes where it was. */
const STALLED_MS = 30_000;

/** Streams a watch as one JSON object per line until it ends, the client leaves, or the client stops reading. */
export async function streamWatch(
  watches: Pick<Watches, 'watch'>,
  metrics: RequestMetrics,
  selection: Selection,
  watch: WatchRequest,
  representation: Representation,
  request: FastifyRequest,
  reply: FastifyReply,
  stalledMs = STALLED_MS,
): Promise<void> {
  const { kind } = selection;
  const abort = new AbortController();
  const labels = { group: kind.group, resource: kind.plural };
  const response = reply.raw;
  reply.hijack();
  response.on('close', () => abort.abort());
  response.on('error', () => abort.abort());
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private', 'x-request-id': request.id });
  response.flushHeaders();
  metrics.watches.inc(labels);

  let isFirst = true;
  const isPlain = representation.form === 'Object';
  const chunkFor = (item: WatchItem): Buffer | undefined => {
    if (item.type === 'Bookmark') {
      if (!watch.bookmarks) return undefined;
      return chunkOf(line('BOOKMARK', presentBookmark(kind, String(item.resourceVersion), representation, item.isInitialEnd)));
    }
    if (isPlain) return eventChunk(item.event);
    const object = presentEventObject(kind, item.event.object, representation, new Date(), isFirst);
    isFirst = false;
    return chunkOf(line(item.event.type, object));
  };
  const timeoutMs = watch.timeoutSeconds === undefined ? DEFAULT_TIMEOUT_MS * (1 + Math.random()) : watch.timeoutSeconds * 1000;
  const options = { start: watch.start, marksInitialEnd: watch.marksInitialEnd, bookmarkEveryMs: BOOKMARK_EVERY_MS, timeoutMs, signal: abort.signal };
  // Chunks are framed here, once for all watchers, and the response would frame them again; it has sent its head by now.
  const { socket } = response;
  // Nor are there chunks for a client of HTTP/1.0, such as a proxy: it reads until the end.
  const framed = (chunk: Buffer): Buffer => (response.chunkedEncoding ? chunk : contentOf(chunk));
  try {
    for await (const item of watches.watch(selection, options)) {
      const chunk = chunkFor(item);
      if (chunk === undefined || !socket || socket.write(framed(chunk))) continue;
      await once(socket, 'drain', { signal: AbortSignal.any([abort.signal, AbortSignal.timeout(stalledMs)]) });
    }
    response.end();
  } catch (error) {
    if (abort.signal.aborted || socket?.writableNeedDrain !== false) response.destroy();
    else response.end(line('ERROR', toStatus(problemOf(error) ?? error)));
  } finally {
    metrics.watches.dec(labels);
  }
}

const line = (type: string, object: unknown): Buffer => Buffer.from(`${JSON.stringify({ type, object })}\n`);
