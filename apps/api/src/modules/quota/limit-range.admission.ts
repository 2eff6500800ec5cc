import { Inject, Injectable } from '@nestjs/common';
import { virtualMachines, type KindDefinition } from '@corral/contracts';
import { forbidden, limitViolations, withLimitDefaults } from '@corral/quota';
import { Admission } from '../../platform/objects/admission.ts';
import { LimitRangeIndex } from './quota-index.ts';

const MACHINES: KindDefinition = virtualMachines;

/** What a namespace's LimitRanges say about a machine's memory. Fixed at creation, so only creation is looked at. */
@Injectable()
export class LimitRangeAdmission {
  constructor(@Inject(Admission) admission: Admission, @Inject(LimitRangeIndex) ranges: LimitRangeIndex) {
    admission.defaultFirst(virtualMachines, async (vm, previous) => (previous ? vm : withLimitDefaults(vm, await ranges.of(vm.metadata.namespace ?? ''))));
    admission.permit(virtualMachines, async (vm, previous) => {
      if (previous && previous.spec?.residentMemory === vm.spec?.residentMemory) return;
      const violations = limitViolations(vm, await ranges.of(vm.metadata.namespace ?? ''));
      if (violations.length > 0) throw forbidden(MACHINES, vm.metadata.name, violations.length === 1 ? (violations[0] ?? '') : `[${violations.join(', ')}]`);
    });
  }
}
