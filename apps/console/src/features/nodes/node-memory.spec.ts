import type { VirtualMachine } from '@corral/contracts';
import { nodeMemoryOf } from './node-memory.ts';

const MIB = 2 ** 20;
/** What a process takes beside its guest's RAM. Source: chargeOf of libs/scheduling. */
const PROCESS = 112 * MIB;
const memory = {
  mode: 'Full', heldBytes: 3 * MIB, swappedBytes: MIB, swapInsFrom: {}, redis: {},
} as NonNullable<VirtualMachine['status']>['memory'];
const machine = (phase: string, spec: object = {}): VirtualMachine =>
  ({ metadata: { name: 'demo', namespace: 'default' }, spec: { memory: '128Mi', nodeName: 'n1', ...spec }, status: { phase, memory } }) as VirtualMachine;

describe('what a node’s machines take', () => {
  it.each<[string, VirtualMachine, number, number]>([
    ['one that runs', machine('Running'), 128 * MIB + PROCESS, 3 * MIB],
    ['one with a budget', machine('Running', { residentMemory: '32Mi' }), 32 * MIB + PROCESS, 3 * MIB],
    ['one that is stopped keeps its place', machine('Stopped'), 128 * MIB + PROCESS, 0],
    ['one that hibernates takes nothing', machine('Hibernated'), 0, 0],
  ])('%s', (_what, vm, promisedBytes, heldBytes) => expect(nodeMemoryOf([vm])).toMatchObject({ promisedBytes, figures: { heldBytes } }));

  it('is the sum of them', () => expect(nodeMemoryOf([machine('Running'), machine('Paused')])).toMatchObject({ promisedBytes: 2 * (128 * MIB + PROCESS), figures: { heldBytes: 6 * MIB, places: { swapped: 2 * MIB } } }));
});
