import fc from 'fast-check';
import { PNG } from 'pngjs';
import { previewOf, shrunk } from './screen.preview.ts';

const aPicture = (width: number, height: number, colour: (x: number, y: number) => number) => {
  const rgba = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y += 1) for (let x = 0; x < width; x += 1) rgba.fill(colour(x, y), (y * width + x) * 4, (y * width + x) * 4 + 4);
  return { width, height, rgba };
};

describe('What is kept of a screen', () => {
  it('is all of it where it is small, to the pixel', async () => {
    const picture = aPicture(720, 400, (x, y) => (x + y) % 256);
    picture.rgba.forEach((_value, at) => at % 4 === 3 && (picture.rgba[at] = 255));
    const kept = PNG.sync.read(Buffer.from((await previewOf({ picture: () => picture })) ?? []));
    expect([kept.width, kept.height]).toEqual([720, 400]);
    expect(kept.data.equals(Buffer.from(picture.rgba))).toBe(true);
  });

  it('is at most so wide, of the same proportions, and neither lighter nor darker', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 12 }), fc.nat(255), (width, height, maxWidth, grey) => {
        const small = shrunk(aPicture(width, height, () => grey), maxWidth);
        expect(small.width).toBeLessThanOrEqual(maxWidth);
        expect(small.rgba.length).toBe(small.width * small.height * 4);
        expect(new Set(small.rgba)).toEqual(new Set([grey]));
      }),
    );
    expect(Array.from(shrunk(aPicture(4, 2, (x) => (x < 2 ? 0 : 200)), 2).rgba)).toEqual([0, 0, 0, 0, 200, 200, 200, 200]);
  });

  it('is nothing where there is nothing to see', async () => {
    expect(await previewOf({ picture: () => ({ width: 0, height: 0, rgba: new Uint8Array(0) }) })).toBeUndefined();
  });
});
