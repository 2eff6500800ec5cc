import { Inject, Injectable } from '@nestjs/common';
import { sameJson } from '@corral/api-machinery';
import {
  apiVersionOf, virtualMachinePools, virtualMachines,
  type FieldProblem, type KindDefinition, type VirtualMachine, type VirtualMachinePool,
} from '@corral/contracts';
import { Admission, type AdmissionRequest } from '../../platform/objects/admission.ts';
import { memoryOfSource } from '../virtual-machines/virtual-machine.admission.ts';

const MACHINES: KindDefinition = virtualMachines;

/** What a machine cannot be made of now, a pool waits for, and says so. */
const WAITED_FOR: ReadonlySet<FieldProblem['reason']> = new Set(['VirtualMachineNotRunning', 'VirtualMachineMoving']);

/** Judges a pool's template by the rules of the machines it will make. */
@Injectable()
export class PoolAdmission {
  constructor(@Inject(Admission) private readonly admission: Admission) {
    admission.default(virtualMachinePools, (pool, _previous, { objects }) => withMemory(pool, objects));
    admission.check(virtualMachinePools, (pool, previous, request) =>
      // The image of a pool that stands may go; what it makes then says so.
      previous && sameJson(previous.spec?.template, pool.spec?.template) ? Promise.resolve([]) : this.#templateProblems(pool, request),
    );
  }

  async #templateProblems(pool: VirtualMachinePool, request: AdmissionRequest): Promise<readonly FieldProblem[]> {
    const machine = machineOf(pool);
    if (!machine) return [];
    const problems: FieldProblem[] = [];
    for (const check of this.admission.checksOf(MACHINES)) problems.push(...(await check(machine, undefined, request)));
    return problems.filter(({ reason }) => !WAITED_FOR.has(reason)).map(({ field, ...problem }) => ({ ...problem, field: `spec.template.${field}` }));
  }
}

/** The machine that the template describes. */
function machineOf({ metadata, spec }: VirtualMachinePool): VirtualMachine | undefined {
  if (!spec?.template?.spec?.source) return undefined;
  const { uid, creationTimestamp, namespace = '' } = metadata;
  return {
    apiVersion: apiVersionOf(virtualMachines), kind: virtualMachines.kind,
    metadata: { name: metadata.name, namespace, uid, resourceVersion: '', generation: 1, creationTimestamp },
    spec: spec.template.spec,
  };
}

/** Said once for all its machines, so that a claim can be held against it. */
async function withMemory(pool: VirtualMachinePool, objects: AdmissionRequest['objects']): Promise<VirtualMachinePool> {
  const machine = machineOf(pool);
  if (!machine?.spec || !pool.spec || machine.spec.memory !== undefined) return pool;
  const memory = await memoryOfSource(machine, objects);
  if (memory === undefined) return pool;
  return { ...pool, spec: { ...pool.spec, template: { ...pool.spec.template, spec: { ...machine.spec, memory } } } };
}
