import { Inject, Injectable } from '@nestjs/common';
import { sameJson } from '@corral/api-machinery';
import { systemClock } from '@corral/base';
import {
  findCondition, MIB, nodes, parseBytes, rollbackOf, toKubeTime, virtualMachines, virtualMachineSnapshots, withCondition,
  type FieldProblem, type Node, type ObjectClient, type VirtualMachine, type VirtualMachineSnapshot, type VirtualMachineStatus,
} from '@corral/contracts';
import { Admission } from '../../platform/objects/admission.ts';

const FIELD = 'spec.source.snapshot';

/**
 * Sends a machine back to a snapshot: what it holds now is given up in the very write that names the snapshot, so there is
 * no moment at which it is neither. Everything that could keep it from going on there is refused before.
 */
@Injectable()
export class RollbackAdmission {
  constructor(@Inject(Admission) admission: Admission) {
    admission.default(virtualMachines, (vm, previous) => {
      const snapshot = rollbackOf(vm, previous);
      return Promise.resolve(snapshot === undefined ? vm : { ...vm, status: rolledBackStatus(vm, snapshot, systemClock.now()) });
    });
    admission.check(virtualMachines, async (vm, previous, { objects }) => {
      const name = rollbackOf(vm, previous);
      return previous && name !== undefined ? rollbackProblems(previous, name, objects) : [];
    });
  }
}

/** The machine's status once it is told to go on from the snapshot, whatever it was doing. */
export function rolledBackStatus({ metadata, spec, status = {} }: VirtualMachine, snapshot: string, now: Date): VirtualMachineStatus {
  const { nextStartTime: _next, idleSince: _idle, hibernation: _asleep, ...rest } = status;
  const kept = { ...rest, lastRollback: { snapshot, incarnation: rest.incarnation ?? 0, requestedAt: toKubeTime(now) } };
  const { incarnation = 0, lastTermination } = kept;
  const continueFrom = { reason: 'RolledBack', snapshot, incarnation } as const;
  // What is switched off stays so, and goes on from there when it is switched on; what never ran has nothing to give up.
  const isOver = incarnation === 0 || lastTermination?.incarnation === incarnation;
  const ended = isOver ? {} : { lastTermination: { reason: 'RolledBack', message: `Sent back to snapshot ${snapshot}`, incarnation, finishedAt: toKubeTime(now) } as const };
  if (spec?.powerState === 'Stopped' || incarnation === 0) return { ...kept, ...ended, continueFrom };
  const conditions = withCondition(kept.conditions, { type: 'Ready', status: 'False', reason: 'RollingBack', message: `It goes on from snapshot ${snapshot}.` }, now, metadata.generation + 1);
  return { ...kept, ...ended, continueFrom, phase: spec?.nodeName === undefined ? 'Pending' : 'Starting', conditions };
}

/** Why the machine cannot go on from that snapshot. */
async function rollbackProblems(vm: VirtualMachine, name: string, objects: ObjectClient): Promise<readonly FieldProblem[]> {
  const snapshot = await objects.get(virtualMachineSnapshots, vm.metadata.namespace, name);
  if (!snapshot) return [{ field: FIELD, reason: 'FieldValueNotFound', message: `VirtualMachineSnapshot "${name}" does not exist` }];
  const node = vm.spec?.nodeName === undefined ? undefined : await objects.get(nodes, undefined, vm.spec.nodeName);
  return rollbackObstacles(vm, snapshot, node);
}

/** The same, decided: a machine goes back to what is whole, and is of itself or of the same making. */
export function rollbackObstacles(vm: VirtualMachine, { metadata, status }: VirtualMachineSnapshot, node: Node | undefined): readonly FieldProblem[] {
  const called = `VirtualMachineSnapshot "${metadata.name}"`;
  const problem = (reason: FieldProblem['reason'], message: string): FieldProblem => ({ field: FIELD, reason, message });
  if (vm.status?.move !== undefined) return [problem('VirtualMachineMoving', 'the machine is leaving its node: try again in a moment')];
  const ready = findCondition(status?.conditions, 'Ready');
  if (metadata.deletionTimestamp !== undefined) return [problem('SnapshotNotReady', `${called} is being deleted`)];
  if (ready?.status !== 'True') return [problem('SnapshotNotReady', `${called} is not Ready${ready ? `: ${ready.reason}: ${ready.message}` : ''}`)];

  const problems: FieldProblem[] = [];
  const memoryMiB = memoryOf(vm);
  if (memoryMiB !== undefined && status?.memoryMiB !== memoryMiB) {
    problems.push(problem('SnapshotIncompatible', `${called} has ${status?.memoryMiB ?? 'unknown'}Mi of memory; the machine has ${memoryMiB}Mi`));
  }
  const v86Build = node?.status?.corral?.v86Build;
  if (v86Build !== undefined && status?.v86Build !== v86Build) {
    problems.push(problem('SnapshotIncompatible', `${called} was taken by v86 build ${status?.v86Build ?? 'unknown'}; the machine’s node runs ${v86Build}`));
  }
  const isOwn = status?.virtualMachineUid === vm.metadata.uid;
  if (status?.imageParts === undefined) problems.push(problem('SnapshotIncompatible', `${called} was taken by an older version of Corral, which did not keep what it was made of`));
  else if (!isOwn && vm.status?.imageParts !== undefined && !sameJson(status.imageParts, vm.status.imageParts)) {
    problems.push(problem('SnapshotIncompatible', `${called} is of another machine, made from other parts: create a machine from it instead`));
  }
  return problems;
}

function memoryOf({ spec, status }: VirtualMachine): number | undefined {
  const bytes = parseBytes(spec?.memory ?? '');
  return bytes === undefined ? status?.memoryMiB : Math.floor(bytes / MIB);
}
