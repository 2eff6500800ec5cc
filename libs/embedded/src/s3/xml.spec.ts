import fc from 'fast-check';
import { textsOf, toXml } from './xml.ts';

describe('XML', () => {
  it('reads back any text it wrote', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (texts) => {
        expect(textsOf(toXml('List', { Key: texts }), 'Key')).toEqual(texts);
      }),
    );
  });
});
