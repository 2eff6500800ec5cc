import { finished, PassThrough, type Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';

/**
 * The body of a route with `streamsBody`, to be given up at any point. Node drops only bodies nobody has begun to read:
 * without this, an answer given in the middle of an upload would be lost or would block the connection's next request.
 * What the caller still sends after the answer is read and dropped. A caller who breaks off makes the stream fail.
 */
export function streamedBody({ raw }: FastifyRequest, reply: FastifyReply): Readable {
  const body = new PassThrough();
  finished(raw, { writable: false }, (error) => {
    if (error) body.destroy(error);
  });
  reply.raw.once('finish', () => {
    raw.unpipe(body);
    raw.resume();
  });
  return raw.pipe(body);
}
