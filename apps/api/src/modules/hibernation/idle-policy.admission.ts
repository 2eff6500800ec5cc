import { Inject, Injectable } from '@nestjs/common';
import { HIBERNATE_AFTER_ANNOTATION, HibernateAfterSeconds, namespaces, virtualMachines, type FieldProblem, type Namespace, type ObjectClient, type VirtualMachine } from '@corral/contracts';
import { Admission } from '../../platform/objects/admission.ts';

/** Gives machines the idle policy of their namespace, once: what is said of the namespace later is for those made later. */
@Injectable()
export class IdlePolicyAdmission {
  constructor(@Inject(Admission) admission: Admission) {
    admission.default(virtualMachines, (vm, previous, { objects }) => (previous ? Promise.resolve(vm) : withIdlePolicy(vm, objects)));
    admission.check(namespaces, (namespace, previous) => Promise.resolve(annotationProblems(namespace, previous)));
  }
}

async function withIdlePolicy(vm: VirtualMachine, objects: ObjectClient): Promise<VirtualMachine> {
  if (!vm.spec || vm.spec.idlePolicy?.hibernateAfterSeconds !== undefined) return vm;
  const namespace = await objects.get(namespaces, undefined, vm.metadata.namespace ?? '');
  const hibernateAfterSeconds = namespace && secondsOf(namespace);
  return hibernateAfterSeconds === undefined ? vm : { ...vm, spec: { ...vm.spec, idlePolicy: { ...vm.spec.idlePolicy, hibernateAfterSeconds } } };
}

/** What was stored before it was checked says nothing. */
function secondsOf({ metadata }: Namespace): number | undefined {
  const text = metadata.annotations?.[HIBERNATE_AFTER_ANNOTATION];
  return text === undefined || !/^\d+$/.test(text) ? undefined : HibernateAfterSeconds.safeParse(Number(text)).data;
}

function annotationProblems(namespace: Namespace, previous: Namespace | undefined): readonly FieldProblem[] {
  const text = namespace.metadata.annotations?.[HIBERNATE_AFTER_ANNOTATION];
  if (text === undefined || text === previous?.metadata.annotations?.[HIBERNATE_AFTER_ANNOTATION] || secondsOf(namespace) !== undefined) return [];
  return [{ field: `metadata.annotations[${HIBERNATE_AFTER_ANNOTATION}]`, reason: 'FieldValueInvalid', message: `must be a whole number of seconds, 0 for never: "${text}"` }];
}
