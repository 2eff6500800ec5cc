import { Inject, Injectable } from '@nestjs/common';
import { SNAPSHOT_DATA_FINALIZER, virtualMachines, virtualMachineSnapshots, type FieldProblem, type ObjectClient, type VirtualMachineSnapshot } from '@corral/contracts';
import { Admission } from '../../platform/objects/admission.ts';
import { withFinalizer } from '../admission/finalizers.ts';

/** Snapshots hold bytes from their first moment, so that no deletion slips in before their controller sees them. */
@Injectable()
export class SnapshotAdmission {
  constructor(@Inject(Admission) admission: Admission) {
    admission.default(virtualMachineSnapshots, (snapshot, previous) => Promise.resolve(previous ? snapshot : withFinalizer(snapshot, SNAPSHOT_DATA_FINALIZER)));
    // The machine may go later, and its snapshot stays.
    admission.check(virtualMachineSnapshots, (snapshot, previous, { objects }) => (previous ? Promise.resolve([]) : machineProblems(snapshot, objects)));
  }
}

async function machineProblems({ metadata, spec }: VirtualMachineSnapshot, objects: ObjectClient): Promise<readonly FieldProblem[]> {
  const name = spec?.virtualMachine;
  if (name === undefined || !metadata.namespace || (await objects.get(virtualMachines, metadata.namespace, name))) return [];
  return [{ field: 'spec.virtualMachine', reason: 'FieldValueNotFound', message: `VirtualMachine "${name}" does not exist` }];
}
