import fc from 'fast-check';
import { Scrollback } from './scrollback.ts';

const CAPACITY = 16;

it('holds the last bytes of everything, by position', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 10 }), fc.nat(200), (chunks, position) => {
      const scrollback = new Scrollback(CAPACITY);
      chunks.forEach((chunk) => scrollback.append(chunk));
      const all = chunks.flatMap((chunk) => [...chunk]);
      const { bytes, end } = scrollback.since(position);
      expect(end).toBe(all.length);
      expect([...bytes]).toEqual(all.slice(Math.max(position, all.length - CAPACITY, 0)));
    }),
  );
});
