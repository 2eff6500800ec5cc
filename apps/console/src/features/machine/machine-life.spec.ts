import type { VirtualMachine } from '@corral/contracts';
import { firstLife, nextLife } from './machine-life.ts';

const vm = (incarnation: number, hibernation?: 'Sleeps' | 'Wakes'): VirtualMachine =>
  ({ status: { incarnation, ...(hibernation ? { hibernation: { reason: 'Idle', requestedAt: '', incarnation, ...(hibernation === 'Wakes' ? { wakeRequestedAt: 'x' } : {}) } } : {}) } }) as unknown as VirtualMachine;
const connections = (...seen: readonly VirtualMachine[]): number[] => {
  let life = firstLife(seen[0] ?? vm(0));
  return seen.map((one) => (life = nextLife(life, one)).number);
};

describe('A connection to a machine', () => {
  it.each([
    ['lasts while nothing happens', [vm(1), vm(1)], [0, 0]],
    ['lasts over a night', [vm(1), vm(1, 'Sleeps'), vm(1, 'Wakes'), vm(2, 'Wakes'), vm(2)], [0, 0, 0, 0, 0]],
    ['lasts over many', [vm(1), vm(1, 'Sleeps'), vm(2), vm(2, 'Sleeps'), vm(3)], [0, 0, 0, 0, 0]],
    ['ends with its machine’s start', [vm(1), vm(2), vm(2)], [0, 1, 1]],
    ['ends with a start after a night', [vm(1), vm(1, 'Sleeps'), vm(2), vm(3)], [0, 0, 0, 1]],
  ])('%s', (_what, seen, numbers) => {
    expect(connections(...seen)).toEqual(numbers);
  });

  it('is the very same where nothing of it changed', () => {
    const life = firstLife(vm(1));
    expect(nextLife(life, vm(1))).toBe(life);
  });
});
