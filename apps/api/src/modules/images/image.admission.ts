import { Inject, Injectable } from '@nestjs/common';
import { virtualMachineImages } from '@corral/contracts';
import { Admission } from '../../platform/objects/admission.ts';
import { withFinalizer } from '../admission/finalizers.ts';

/** Holds a deleted image until its golden snapshots and its own artifacts are gone. */
export const IMAGE_DATA_FINALIZER = 'corral.dev/image-data';

/** Images hold bytes from their first moment. */
@Injectable()
export class ImageAdmission {
  constructor(@Inject(Admission) admission: Admission) {
    admission.default(virtualMachineImages, (image, previous) => Promise.resolve(previous ? image : withFinalizer(image, IMAGE_DATA_FINALIZER)));
  }
}
