import { MAX_SNAPSHOT_SCREEN_BYTES } from '@corral/contracts/for-vm-process';
import type { Picture, Screen } from '@corral/v86-host';
import { encodePng } from './screen.http.ts';

/** A text screen is kept as it is; what is larger is for recognising, not for reading. */
const MAX_WIDTH = 800;
const BYTES_PER_PIXEL = 4;

/** What the screen shows, as a small PNG; undefined where there is nothing to see. */
export async function previewOf(screen: Pick<Screen, 'picture'>): Promise<Uint8Array | undefined> {
  const picture = screen.picture();
  if (picture.width === 0 || picture.height === 0) return undefined;
  const bytes = await encodePng(shrunk(picture));
  return bytes.length <= MAX_SNAPSHOT_SCREEN_BYTES ? bytes : undefined;
}

/** Smaller by a whole number, so that it is at most so wide; each of its pixels is the mean of those it stands for. */
export function shrunk({ width, height, rgba }: Picture, maxWidth = MAX_WIDTH): Picture {
  const by = Math.ceil(width / maxWidth);
  if (by <= 1) return { width, height, rgba };
  const [columns, rows] = [Math.floor(width / by), Math.max(1, Math.floor(height / by))];
  const small = new Uint8Array(columns * rows * BYTES_PER_PIXEL);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      for (let channel = 0; channel < BYTES_PER_PIXEL; channel += 1) {
        let sum = 0;
        for (let y = 0; y < Math.min(by, height); y += 1) for (let x = 0; x < by; x += 1) sum += rgba[((row * by + y) * width + column * by + x) * BYTES_PER_PIXEL + channel] ?? 0;
        small[(row * columns + column) * BYTES_PER_PIXEL + channel] = Math.round(sum / (Math.min(by, height) * by));
      }
    }
  }
  return { width: columns, height: rows, rgba: small };
}
