import type { VirtualMachine } from '@corral/contracts';
import { figuresOf, sharersOf, toldMemory, type MemoryStatus } from './memory-figures.ts';

const told: MemoryStatus = {
  mode: 'Full', pager: 'On', heldBytes: 10, privateBytes: 8, sharedBytes: 20, compressedBytes: 6, swappedBytes: 4, zeroBytes: 2,
  faults: 7, swapIns: 5, swapOuts: 9, swapInsFrom: { staged: 1, compressed: 2, redis: 1, durable: 1 },
  swapInMicroseconds: { p50: 30, p99: 400 }, redis: { timeouts: 1, misses: 2, refusals: 0, stale: 0 },
};
const { swapInMicroseconds: _none, ...unwaiting } = told;

it('figures of a node are the sums of its machines’, but for waits, which are those of who waits longest', () => {
  const slower = { ...told, swapInMicroseconds: { p50: 20, p99: 900 } };
  expect(figuresOf([told, slower, unwaiting])).toEqual({
    places: { private: 24, compressed: 18, shared: 60, swapped: 12, zero: 6 },
    heldBytes: 30,
    counts: { faults: 21, swapIns: 15, swapOuts: 27 },
    cameFrom: { staged: 3, compressed: 6, redis: 3, durable: 3 },
    waits: { p50: 30, p99: 900 },
    redisTroubles: 9,
  });
  expect(figuresOf([]).waits).toBeUndefined();
});

const machine = (uid: string, layers: readonly string[], phase = 'Running', nodeName = 'n1'): VirtualMachine =>
  ({ metadata: { uid }, status: { phase, nodeName, memory: told, lineage: { layers } } }) as unknown as VirtualMachine;

it('a base is shared with those that lie on it on the same node and have a process', () => {
  const one = machine('one', ['base', 'own']);
  const others = [one, machine('same', ['base']), machine('paused', ['base', 'x'], 'Paused'), machine('asleep', ['base'], 'Hibernated'), machine('elsewhere', ['base'], 'Running', 'n2'), machine('other', ['own', 'base'])];
  expect(sharersOf(one, others)).toBe(2);
  expect(sharersOf(machine('alone', []), others)).toBe(0);
  expect(toldMemory(machine('asleep', [], 'Hibernated'))).toBeUndefined();
});
