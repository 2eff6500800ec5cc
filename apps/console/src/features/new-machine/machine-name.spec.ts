import { isDnsLabel } from '@corral/contracts';
import fc from 'fast-check';
import { inventName, nextName } from './machine-name.ts';

describe('machine names', () => {
  it('are DNS labels nobody has, whatever they are made from', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 100 }), fc.array(fc.string()), (base, others) => {
        const first = nextName(base, new Set());
        const taken = new Set([...others, first]);
        const name = nextName(base, taken);
        return isDnsLabel(name) && isDnsLabel(first) && !taken.has(name);
      }),
    );
  });

  it('are still found when every pair of words is taken by the dice', () => {
    expect(inventName(new Set(['quiet-otter']), () => 0)).toBe('quiet-otter-2');
    expect(inventName(new Set(), () => 0)).toBe('quiet-otter');
  });
});
