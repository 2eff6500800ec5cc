import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { sameJson, type Write } from '@corral/api-machinery';
import { systemClock } from '@corral/base';
import {
  findCondition, formatBytes, MIB, parseBytes, Problem, startSourceOf, virtualMachines, virtualMachineSnapshots,
  type FieldProblem, type KubeObject, type ObjectClient, type VirtualMachine, type VirtualMachineSnapshot, type VirtualMachineSpec, type VirtualMachineStatus,
} from '@corral/contracts';
import { CONTROLLER } from '../../platform/auth/user.ts';
import { OBJECT_CLIENT } from '../../platform/objects/object-client.ts';
import { Admission, type AdmissionCompanion } from '../../platform/objects/admission.ts';
import { MomentTaking } from './moment-taking.ts';
import { forkObstacle, forkOf, momentOf, MOMENT_ANNOTATION, MOMENT_FIELD, SOURCE_FIELD } from './fork-moment.ts';

/**
 * A machine that is to go on from where a running one is: what it will need to know of that one is written when it is
 * created, and the moment with it, in the same transaction.
 */
@Injectable()
export class ForkAdmission implements AdmissionCompanion<VirtualMachineSpec, VirtualMachineStatus> {
  constructor(
    @Inject(Admission) admission: Admission,
    @Inject(OBJECT_CLIENT) private readonly objects: ObjectClient,
    @Inject(MomentTaking) private readonly taking: MomentTaking,
  ) {
    admission.default(virtualMachines, (vm, previous, { objects }) => (previous ? Promise.resolve(vm) : withFork(vm, objects)));
    admission.check(virtualMachines, async (vm, previous, { objects }) => (previous ? [] : forkProblems(vm, objects)));
    admission.companion(virtualMachines, this);
    admission.check(virtualMachineSnapshots, (snapshot, previous, { user }) => Promise.resolve(user === CONTROLLER ? [] : ownFieldProblems(snapshot, previous)));
  }

  turnOf(): undefined {
    return undefined;
  }

  writesFor(vm: VirtualMachine): Promise<readonly Write[]> {
    const { fork } = vm.status ?? {};
    if (!fork || !hasOwnMoment(vm)) return Promise.resolve([]);
    const moment = momentOf(vm.metadata.namespace ?? '', fork, { uid: randomUUID(), now: systemClock.now() });
    return Promise.resolve([{ type: 'Create', kind: virtualMachineSnapshots, object: moment as KubeObject }]);
  }

  /** Its moment is held: from here on it is what the source was, whatever becomes of that. */
  async answerWhen(vm: VirtualMachine): Promise<void> {
    const { namespace = '', name, uid } = vm.metadata;
    const { fork } = vm.status ?? {};
    if (!fork || !hasOwnMoment(vm)) return;
    try {
      await this.taking.untilHeld(namespace, fork.snapshot);
    } catch (error) {
      await this.objects.delete(virtualMachines, namespace, name, { uid });
      await this.objects.delete(virtualMachineSnapshots, namespace, fork.snapshot).catch(unlessGone);
      throw error;
    }
  }
}

/** Whether its moment is created with it, and is not one that others were created from before. */
const hasOwnMoment = (vm: VirtualMachine): boolean => vm.metadata.annotations?.[MOMENT_ANNOTATION] === undefined && isFork(vm);

/** Whether it starts from a running machine; a warm machine of a pool that was taken over has started already. */
const isFork = (vm: VirtualMachine): boolean => startSourceOf(vm).virtualMachine !== undefined && vm.status?.claim?.type !== 'Warm';

function unlessGone(error: unknown): void {
  if (!(error instanceof Problem && error.code === 'object.not-found')) throw error;
}

async function withFork(vm: VirtualMachine, objects: ObjectClient): Promise<VirtualMachine> {
  const source = vm.spec && isFork(vm) ? await sourceOf(vm, objects) : undefined;
  if (!vm.spec || !source || forkObstacle(source)) return vm;
  const snapshot = vm.metadata.annotations?.[MOMENT_ANNOTATION] ?? `fork-${vm.metadata.uid.slice(0, 13)}`;
  const memory = vm.spec.memory ?? source.spec?.memory ?? (source.status?.memoryMiB === undefined ? undefined : formatBytes(source.status.memoryMiB * MIB));
  return {
    ...vm,
    spec: { ...vm.spec, ...(memory === undefined ? {} : { memory }) },
    status: { ...vm.status, fork: forkOf(source, snapshot) },
  };
}

async function forkProblems(vm: VirtualMachine, objects: ObjectClient): Promise<readonly FieldProblem[]> {
  if (!isFork(vm)) return [];
  const { virtualMachine: name } = startSourceOf(vm);
  const source = await sourceOf(vm, objects);
  if (!source) return [{ field: SOURCE_FIELD, reason: 'FieldValueNotFound', message: `VirtualMachine "${name}" does not exist` }];
  const obstacle = forkObstacle(source);
  if (obstacle) return [{ field: SOURCE_FIELD, ...obstacle }];
  const bytes = parseBytes(vm.spec?.memory ?? '');
  const has = source.status?.memoryMiB;
  const isOther = bytes !== undefined && has !== undefined && bytes !== has * MIB;
  return [
    ...(isOther ? [{ field: 'spec.memory', reason: 'FieldValueInvalid', message: `must be ${has}Mi, the memory of the machine it is forked from` } as const] : []),
    ...(vm.spec?.bootPolicy === 'Cold' ? [{ field: 'spec.bootPolicy', reason: 'FieldValueInvalid', message: 'must be Golden: a fork goes on and does not boot' } as const] : []),
    ...(await momentProblems(vm, source, objects)),
  ];
}

/** A moment that is shared must be one of this very life of the source. */
async function momentProblems({ metadata }: VirtualMachine, source: VirtualMachine, objects: ObjectClient): Promise<readonly FieldProblem[]> {
  const name = metadata.annotations?.[MOMENT_ANNOTATION];
  if (name === undefined) return [];
  const field = MOMENT_FIELD;
  const moment = await objects.get(virtualMachineSnapshots, metadata.namespace, name);
  if (!moment?.spec?.fork || moment.metadata.deletionTimestamp !== undefined) return [{ field, reason: 'FieldValueNotFound', message: `there is no moment "${name}" to be forked from any more` }];
  const isOfSource = moment.spec.virtualMachine === source.metadata.name && moment.status?.virtualMachineUid === source.metadata.uid;
  if (!isOfSource) return [{ field, reason: 'FieldValueInvalid', message: `moment "${name}" is of another machine` }];
  const ready = findCondition(moment.status?.conditions, 'Ready');
  if (moment.status?.completedAt === undefined || ready?.status === 'True') return [];
  return [{ field, reason: 'FieldValueInvalid', message: `moment "${name}" failed: ${ready?.reason}: ${ready?.message}` }];
}

function ownFieldProblems({ spec }: VirtualMachineSnapshot, previous: VirtualMachineSnapshot | undefined): readonly FieldProblem[] {
  if (sameJson(spec?.fork, previous?.spec?.fork)) return [];
  return [{ field: 'spec.fork', reason: 'FieldValueForbidden', message: 'is written by the server: create a VirtualMachine whose source is the machine' }];
}

function sourceOf(vm: VirtualMachine, objects: ObjectClient): Promise<VirtualMachine | undefined> {
  return objects.get(virtualMachines, vm.metadata.namespace, startSourceOf(vm).virtualMachine ?? '');
}
