import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Problem } from '@corral/contracts';
import { type FastifyReply } from 'fastify';
import { SCREEN_PICTURE, SCREEN_TEXT } from '../last-screen.ts';

/** Answers as the VM process would, with what it left when the machine fell asleep. */
export async function serveLastScreen(reply: FastifyReply, directory: string, format: string): Promise<void> {
  if (format !== 'png' && format !== 'text') throw new Problem('request.malformed', 'format must be png or text');
  const [file, type] = format === 'png' ? [SCREEN_PICTURE, 'image/png'] : [SCREEN_TEXT, 'text/plain; charset=utf-8'];
  const bytes = await readFile(join(directory, file)).catch((cause: unknown) => {
    if (format === 'text') throw new Problem('guest.screen-graphical', 'the screen was in a graphics mode: it has no text', { cause });
    throw new Problem('vm.no-screen', 'the machine sleeps, and there is no picture of its screen', { cause });
  });
  await reply.header('cache-control', 'no-store').type(type).send(bytes);
}
