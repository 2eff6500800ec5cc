import { Inject, Injectable } from '@nestjs/common';
import { SNAPSHOT_DATA_FINALIZER, virtualMachineSnapshots } from '@corral/contracts';
import { Admission } from '../../platform/objects/admission.ts';
import { withFinalizer } from '../admission/finalizers.ts';

/** Snapshots hold bytes from their first moment, so that no deletion slips in before their controller sees them. */
@Injectable()
export class SnapshotAdmission {
  constructor(@Inject(Admission) admission: Admission) {
    admission.default(virtualMachineSnapshots, (snapshot, previous) => Promise.resolve(previous ? snapshot : withFinalizer(snapshot, SNAPSHOT_DATA_FINALIZER)));
  }
}
