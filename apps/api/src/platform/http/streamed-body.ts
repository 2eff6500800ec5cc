import { finished, PassThrough, type Readable } from 'node:stream';
import { Problem } from '@corral/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** Neither the caller nor whoever takes the bytes may stop for longer. */
const MAX_SILENCE_MS = 5 * 60_000;

/**
 * The body of a route with `streamsBody`, to be given up at any point. Node drops only bodies nobody has begun to read:
 * without this, an answer given in the middle of an upload would be lost or would block the connection's next request.
 * What the caller still sends after the answer is read and dropped. A caller who breaks off makes the stream fail.
 */
export function streamedBody({ raw }: FastifyRequest, reply: FastifyReply): Readable {
  const body = new PassThrough();
  const silence = setTimeout(() => body.destroy(new Problem('request.timed-out', 'the upload stood still for too long')), MAX_SILENCE_MS);
  const onData = (): void => void silence.refresh();
  const atRest = (): void => {
    raw.off('data', onData);
    clearTimeout(silence);
  };
  raw.on('data', onData);
  raw.once('end', atRest).once('close', atRest);
  reply.raw.once('close', atRest);
  // Nobody may be reading any more when it breaks off.
  body.on('error', () => undefined);
  finished(raw, { writable: false }, (error) => {
    if (error) body.destroy(error);
  });
  reply.raw.once('finish', () => {
    raw.unpipe(body);
    raw.resume();
  });
  return raw.pipe(body);
}
