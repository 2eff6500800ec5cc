import { toKubeTime, type Condition, type VirtualMachine, type VirtualMachinePool, type VirtualMachinePoolSpec, type VirtualMachineSnapshot } from '@corral/contracts';
import { JOINED_FOR_MS, originOf } from './pool-origin.ts';

const T0 = Date.parse('2026-01-01T00:00:00Z');
const meta = (name: string, atMs = 0) => ({ name, namespace: 'default', uid: `${name}-uid`, resourceVersion: '1', generation: 1, creationTimestamp: toKubeTime(new Date(T0 + atMs)) });
const aPool = (source: object): VirtualMachinePool => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachinePool', metadata: meta('pool'), spec: { template: { spec: { source } }, warm: 3, maximum: 6 } as VirtualMachinePoolSpec,
});
const aSource = (status: VirtualMachine['status'] = { phase: 'Running', incarnation: 2 }): VirtualMachine => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: meta('source'), spec: { source: { image: 'tiny' }, nodeName: 'n1' } as NonNullable<VirtualMachine['spec']>, status,
});
interface MomentFacts { readonly atMs?: number; readonly reason?: string; readonly uid?: string; readonly incarnation?: number; readonly isOver?: boolean; readonly isDeleted?: boolean }
const aMoment = (name: string, { atMs = 0, reason = 'Held', uid = 'source-uid', incarnation = 2, isOver = false, isDeleted = false }: MomentFacts = {}): VirtualMachineSnapshot => ({
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachineSnapshot', metadata: { ...meta(name, atMs), ...(isDeleted ? { deletionTimestamp: toKubeTime(new Date(T0)) } : {}) },
  spec: { virtualMachine: 'source', nodeName: 'n1', fork: { upload: false } },
  status: { virtualMachineUid: uid, incarnation, conditions: [{ type: 'Ready', status: 'False', reason, message: 'so it is' } as Condition], ...(isOver ? { completedAt: toKubeTime(new Date(T0)) } : {}) },
});
const of = (moments: readonly VirtualMachineSnapshot[], { source = aSource(), afterMs = 1_000 } = {}) =>
  originOf({ pool: aPool({ virtualMachine: 'source' }), source, moments, now: new Date(T0 + afterMs) });

describe('the next machine of a pool', () => {
  it.each<[string, ReturnType<typeof of>, object]>([
    ['goes on from the moment that was asked for', of([aMoment('moment')]), { type: 'Moment', name: 'moment' }],
    ['goes on from the latest of two', of([aMoment('early'), aMoment('late', { atMs: 500 })]), { type: 'Moment', name: 'late' }],
    ['waits for its node to keep it', of([aMoment('moment', { reason: 'Taking' })]), { type: 'Underway' }],
    ['needs one where there is none', of([]), { type: 'Source' }],
    ['does not join one that is so old that it may go before the machine has started', of([aMoment('moment')], { afterMs: JOINED_FOR_MS }), { type: 'Source' }],
    ['does not join one that goes', of([aMoment('moment', { isDeleted: true })]), { type: 'Source' }],
    ['does not join one of an earlier life of the source', of([aMoment('moment', { incarnation: 1 })]), { type: 'Source' }],
    ['does not join one of another machine that was called the same', of([aMoment('moment', { uid: 'earlier-uid' })]), { type: 'Source' }],
    ['asks for no other while one is there that could not be kept', of([aMoment('moment', { reason: 'NodeDiskFull', isOver: true })]), { type: 'Unavailable', reason: 'ForkFailed', message: expect.stringContaining('NodeDiskFull: so it is') as unknown }],
    ['has nothing to go on from where the source is not there', originOf({ pool: aPool({ virtualMachine: 'source' }), source: undefined, moments: [aMoment('moment')], now: new Date(T0) }), { type: 'Unavailable', reason: 'SourceMissing' }],
    ['has nothing to go on from while the source does not run', of([aMoment('moment')], { source: aSource({ phase: 'Stopped' }) }), { type: 'Unavailable', reason: 'SourceNotRunning' }],
    ['of an image starts by itself', originOf({ pool: aPool({ image: 'tiny' }), source: undefined, moments: [], now: new Date(T0) }), { type: 'Template' }],
  ])('%s', (_what, origin, expected) => expect(origin).toMatchObject(expected));
});
