import { rollbackPatch } from './rollback.ts';

describe('What corral rollback asks for', () => {
  const now = new Date('2026-01-01T00:00:00Z');
  it.each<[string, object, object]>([
    ['replaces the image', { image: 'linux-minimal' }, { image: null, snapshot: 's' }],
    ['replaces another snapshot', { snapshot: 'before' }, { snapshot: 's' }],
  ])('%s', (_what, source, expected) => {
    expect(rollbackPatch({ spec: { source } } as never, 's', now)).toMatchObject({ spec: { source: expected } });
  });

  it('is another request each time, so that one can go back to the same snapshot again', () => {
    const patches = [now, new Date(now.getTime() + 1)].map((at) => JSON.stringify(rollbackPatch({ spec: { source: { snapshot: 's' } } } as never, 's', at)));
    expect(new Set(patches).size).toBe(2);
  });
});
