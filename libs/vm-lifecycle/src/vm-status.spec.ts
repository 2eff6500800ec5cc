import type { VirtualMachine, VirtualMachineStatus, VmLineage } from '@corral/contracts';
import { ABSENT, type Run } from './machine-state.ts';
import { deriveStatus } from './vm-status.ts';
import type { World } from './restart.ts';

const NOW = new Date('2026-01-01T00:00:00Z');
const run: Run = { incarnation: 2, startedAt: NOW, startedFrom: { type: 'Boot', name: 'i' }, memoryMiB: 64, v86Build: 'b', imageParts: { artifacts: {}, commandLine: '', guestAgent: true, acpi: false } };
const LINEAGE: VmLineage = { digest: 'd'.repeat(64), layers: ['packs/default/a'] };

function told(status: VirtualMachineStatus, change: Partial<World>): VmLineage | undefined {
  const vm: VirtualMachine = {
    apiVersion: 'corral.dev/v1',
    kind: 'VirtualMachine',
    metadata: { name: 'demo', namespace: 'default', uid: 'u', resourceVersion: '1', generation: 1, creationTimestamp: NOW.toISOString() },
    status,
  };
  return deriveStatus({ nodeName: 'worker-1', machine: { phase: 'Starting', run, since: NOW }, suspended: false, diskWritten: false, failures: 0, nodeStopping: false, now: NOW, ...change, vm }).lineage;
}

describe('What a machine lies on', () => {
  it('is told before its process exists', () => expect(told({ incarnation: 1 }, { lineage: LINEAGE })).toEqual(LINEAGE));
  it('is the next snapshot as soon as there is one', () => {
    const next = { digest: 'e'.repeat(64), layers: ['packs/default/a', 'packs/default/b'] };
    expect(told({ incarnation: 2, lineage: LINEAGE }, { lineage: next })).toEqual(next);
  });
  it('is nothing any more once it booted by itself', () => expect(told({ incarnation: 1, lineage: LINEAGE }, {})).toBeUndefined());
  it('stays while it has no process: a suspended state lies on the same', () => expect(told({ incarnation: 2, lineage: LINEAGE }, { machine: ABSENT, suspended: true })).toEqual(LINEAGE));
});
