import { writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { Problem } from '@corral/contracts/for-vm-process';
import type { Picture, Screen } from '@corral/v86-host';
import { SCREEN_PICTURE, SCREEN_TEXT } from '../last-screen.ts';

const RGB = 2;
const RGBA = 6;
/** Rows as they are: the filters cost more time than they save on text and flat colours. */
const NO_FILTER = 0;

/** Answers with the screen as it is now. */
export async function serveScreenshot(screen: Screen, response: ServerResponse, query: URLSearchParams): Promise<void> {
  const format = query.get('format') ?? 'png';
  if (format === 'text') {
    const rows = screen.text();
    if (!rows) throw new Problem('guest.screen-graphical', 'the screen is in a graphics mode: it has no text');
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' });
    response.end(`${rows.join('\n')}\n`);
    return;
  }
  if (format !== 'png') throw new Problem('request.malformed', 'format must be png or text');
  const bytes = await encodePng(screen.picture());
  response.writeHead(200, { 'content-type': 'image/png', 'content-length': bytes.length, 'cache-control': 'no-store' });
  response.end(bytes);
}

/** Writes what the screen shows into a folder, for whoever asks while the machine sleeps; text only where it is in a text mode. */
export async function keepScreen(screen: Screen, directory: string): Promise<void> {
  const picture = screen.picture();
  const rows = screen.text();
  if (picture.width > 0 && picture.height > 0) await writeFile(join(directory, SCREEN_PICTURE), await encodePng(picture));
  if (rows) await writeFile(join(directory, SCREEN_TEXT), `${rows.join('\n')}\n`);
}

export async function encodePng({ width, height, rgba }: Picture): Promise<Buffer> {
  if (width === 0 || height === 0) throw new Problem('vm.no-screen', 'the guest has not set up its screen yet');
  // Few machines are looked at.
  const { PNG } = await import('pngjs');
  const png = new PNG({ width, height, colorType: RGB, inputColorType: RGBA, filterType: NO_FILTER, deflateLevel: 3 });
  png.data = Buffer.from(rgba.buffer, rgba.byteOffset, rgba.byteLength);
  // Not a stream of node:stream: it only has the events.
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    png.on('data', (chunk: Buffer) => chunks.push(chunk));
    png.once('end', () => resolve(Buffer.concat(chunks)));
    png.once('error', reject);
    png.pack();
  });
}
