import fc from 'fast-check';
import { flag, integer, list, Misshapen, nullable, number, object, oneOf, optional, record, type Shape, tagged, text, withDefault } from './shape.ts';

const thing = object({
  name: text({ pattern: /^[a-z]+$/, max: 4 }),
  size: optional(integer({ min: 0, max: 9 })),
  share: nullable(number({ above: 0, max: 1 })),
  tags: withDefault(list(text(), { max: 2 }), []),
});
const right = { name: 'abc', share: 0.5 };

it('reads what has the shape, leaves out what nobody named, and fills in what is absent', () => {
  expect(thing({ ...right, size: 9, tags: ['x'], more: true })).toEqual({ ...right, size: 9, tags: ['x'] });
  expect(thing(right)).toEqual({ ...right, tags: [] });
  expect(thing({ ...right, size: undefined })).toEqual({ ...right, tags: [] });
  expect(thing({ ...right, share: null }).share).toBeNull();
});

it.each<[string, unknown, string]>([
  ['no object', [], ''], ['a name too long', { ...right, name: 'abcde' }, 'name'], ['a name of other letters', { ...right, name: 'A' }, 'name'], ['no name', { share: 1 }, 'name'],
  ['an inherited name', Object.create(right), 'name'], ['half a size', { ...right, size: 0.5 }, 'size'], ['too large a size', { ...right, size: 10 }, 'size'], ['nothing of it', { ...right, share: 0 }, 'share'],
  ['not a number', { ...right, share: NaN }, 'share'], ['no list', { ...right, tags: {} }, 'tags'], ['too many tags', { ...right, tags: ['', '', ''] }, 'tags'], ['a tag that is none', { ...right, tags: ['', 7] }, 'tags[1]'],
])('says where the shape is another: %s', (_, value, at) => {
  expect(() => thing(value)).toThrow(expect.objectContaining({ name: 'Misshapen', at }));
});

it('knows variants by their type, and refuses what is not known where it is strict', () => {
  const either = tagged({ on: object({ level: oneOf(1, 2) }, { strict: true }), off: object({}, { strict: true }) });
  expect([either({ type: 'on', level: 2 }), either({ type: 'off' })]).toEqual([{ type: 'on', level: 2 }, { type: 'off' }]);
  expect(() => either({ type: 'off', level: 2 })).toThrow('level: is not known');
  expect(() => either({ type: 'toString' })).toThrow('type: must be on or off');
});

it('of any value at all, answers or throws Misshapen, and never touches a prototype', () => {
  const shapes: Shape<unknown>[] = [thing, record(thing), record(text()), list(flag), tagged({ a: thing }), oneOf('a', 'b')];
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(...shapes), (value, shape) => {
      try {
        shape(value);
      } catch (error) {
        expect(error).toBeInstanceOf(Misshapen);
      }
    }),
  );
  expect(Object.getPrototypeOf(record(text())(JSON.parse('{"__proto__": "x", "a": "b"}')))).toBe(Object.prototype);
});
