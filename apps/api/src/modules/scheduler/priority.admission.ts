import { Inject, Injectable } from '@nestjs/common';
import {
  isSystemPriorityClass, priorityClasses, Problem, qualifiedResource, virtualMachines,
  type KindDefinition, type KubeObject, type ObjectClient, type PriorityClass, type VirtualMachine,
} from '@corral/contracts';
import { Admission } from '../../platform/objects/admission.ts';

/** Where classes above every user's may be used: elsewhere a tenant could take everybody's place. */
const SYSTEM_ONLY = ['kube-system', 'corral-system'];

interface Priority {
  readonly priorityClassName?: string;
  readonly priority: number;
  readonly preemptionPolicy: 'PreemptLowerPriority' | 'Never';
}
const NO_CLASS: Priority = { priority: 0, preemptionPolicy: 'PreemptLowerPriority' };

/** Turns the class a machine names into its priority, once, when it is created. Source: k8s.io/kubernetes/plugin/pkg/admission/priority. */
@Injectable()
export class PriorityAdmission {
  constructor(@Inject(Admission) admission: Admission) {
    admission.default(virtualMachines, (vm, previous, { objects }) => (previous ? Promise.resolve(withKept(vm, previous)) : withPriority(vm, objects)));
    admission.check(priorityClasses, async (object, _previous, { objects }) => {
      await requireOneDefault(object as PriorityClass, objects);
      return [];
    });
  }
}

async function withPriority(vm: VirtualMachine, objects: ObjectClient): Promise<VirtualMachine> {
  if (!vm.spec) return vm;
  const { priorityClassName, priority, preemptionPolicy } = vm.spec;
  const resolved = priorityClassName ? await priorityOf(vm, priorityClassName, objects) : await defaultPriority(objects);
  if (priority !== undefined && priority !== resolved.priority) {
    throw forbidden(virtualMachines, vm, `the integer value of priority (${priority}) must not be provided in the spec; priority admission controller computed ${resolved.priority} from the given PriorityClass name`);
  }
  if (preemptionPolicy !== undefined && preemptionPolicy !== resolved.preemptionPolicy) {
    throw forbidden(virtualMachines, vm, `the string value of PreemptionPolicy (${preemptionPolicy}) must not be provided in the spec; priority admission controller computed ${resolved.preemptionPolicy} from the given PriorityClass name`);
  }
  const { priorityClassName: _named, ...rest } = vm.spec;
  return { ...vm, spec: { ...rest, ...resolved } };
}

/** What a manifest left to the server once, it leaves to the server when it is sent again. */
function withKept(vm: VirtualMachine, previous: VirtualMachine): VirtualMachine {
  if (!vm.spec || !previous.spec) return vm;
  const { priorityClassName, priority, preemptionPolicy, schedulerName } = previous.spec;
  const kept = Object.fromEntries(Object.entries({ priorityClassName, priority, preemptionPolicy, schedulerName }).filter(([, value]) => value !== undefined));
  return { ...vm, spec: { ...kept, ...vm.spec } };
}

async function priorityOf(vm: VirtualMachine, name: string, objects: ObjectClient): Promise<Priority> {
  const found = (await objects.get(priorityClasses, undefined, name)) as PriorityClass | undefined;
  if (!found) throw forbidden(virtualMachines, vm, `no PriorityClass with name ${name} was found`);
  if (isSystemPriorityClass(name) && !SYSTEM_ONLY.includes(vm.metadata.namespace ?? '')) {
    throw forbidden(virtualMachines, vm, `PriorityClass ${name} may be used in the namespaces ${SYSTEM_ONLY.join(' and ')} only`);
  }
  return prioritized(found);
}

async function defaultPriority(objects: ObjectClient): Promise<Priority> {
  const [first] = (await defaultClasses(objects)).sort((a, b) => a.value - b.value);
  return first ? prioritized(first) : NO_CLASS;
}

async function defaultClasses(objects: ObjectClient): Promise<PriorityClass[]> {
  const { items } = await objects.list(priorityClasses);
  return (items as readonly PriorityClass[]).filter(({ globalDefault }) => globalDefault);
}

const prioritized = ({ metadata, value, preemptionPolicy }: PriorityClass): Priority => ({ priorityClassName: metadata.name, priority: value, preemptionPolicy });

async function requireOneDefault(object: PriorityClass, objects: ObjectClient): Promise<void> {
  if (!object.globalDefault) return;
  const other = (await defaultClasses(objects)).find(({ metadata }) => metadata.name !== object.metadata.name);
  if (other) throw forbidden(priorityClasses, object, `PriorityClass ${other.metadata.name} is already marked as default. Only one default can exist`);
}

function forbidden(kind: Pick<KindDefinition, 'group' | 'plural'>, { metadata }: KubeObject, why: string): Problem {
  const details = { ...(metadata.name ? { name: metadata.name } : {}), group: kind.group, kind: kind.plural };
  return new Problem('request.forbidden', `${qualifiedResource(kind)} "${metadata.name}" is forbidden: ${why}`, { details });
}
