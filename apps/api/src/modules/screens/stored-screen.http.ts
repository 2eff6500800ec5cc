import type { FastifyReply } from 'fastify';
import type { StoredScreen } from './stored-screens.ts';

/** A guest drew it: nothing in it may run at the console's origin. */
const UNTRUSTED = { 'content-security-policy': "sandbox; default-src 'none'", 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

/** Answers with a picture that was kept, and says of when it is. */
export async function sendStoredScreen(reply: FastifyReply, { png, takenAt }: StoredScreen): Promise<void> {
  await reply.headers({ ...UNTRUSTED, 'last-modified': takenAt.toUTCString() }).type('image/png').send(png);
}
