import { Inject, Injectable } from '@nestjs/common';
import { systemClock } from '@corral/base';
import {
  findCondition,
  formatBytes,
  MIB,
  nodes,
  parseBytes,
  startSourceOf,
  virtualMachineImages,
  virtualMachines,
  virtualMachineSnapshots,
  withCondition,
  type FieldProblem,
  type ObjectClient,
  type VirtualMachine,
  type VirtualMachineImage,
  type VirtualMachineSnapshot,
} from '@corral/contracts';
import { Admission } from '../../platform/objects/admission.ts';
import { hasFailedForGood } from '../images/image-conditions.ts';
import { minimumMemoryMiB } from '../images/image-digest.ts';

/** What the source asks of a machine's memory. */
interface MemoryRule {
  readonly defaultMiB: number | undefined;
  readonly minimumMiB: number;
  /** A snapshot's memory cannot be given another size. */
  readonly exactly: boolean;
}

/** Looks at a VirtualMachine in the light of the image or snapshot it names. */
@Injectable()
export class VirtualMachineAdmission {
  constructor(@Inject(Admission) admission: Admission) {
    admission.default(virtualMachines, (vm, previous, { objects }) => (previous ? Promise.resolve(withKept(vm, previous)) : withDefaultMemory(vm, objects)));
    admission.default(virtualMachines, (vm, previous, { objects }) => (previous && previous.spec?.residentMemory === undefined ? Promise.resolve(vm) : withDefaultResidentMemory(vm, objects)));
    admission.default(virtualMachines, (vm, previous) => Promise.resolve(previous?.spec?.nodeName === undefined ? withBinding(vm) : vm));
    admission.check(virtualMachines, async (vm, previous, { objects }) => [
      ...(previous ? [] : await sourceProblems(vm, objects)),
      ...(await nodeProblems(vm, previous, objects)),
      ...residentMemoryProblems(vm, previous),
    ]);
  }
}

async function withDefaultMemory(vm: VirtualMachine, objects: ObjectClient): Promise<VirtualMachine> {
  if (!vm.spec || vm.spec.memory !== undefined) return vm;
  const memory = await memoryOfSource(vm, objects);
  return memory === undefined ? vm : { ...vm, spec: { ...vm.spec, memory } };
}

/** After its memory is known. A machine that names a snapshot, or another machine, says itself what it may take; one that ran without a budget keeps running so. */
async function withDefaultResidentMemory(vm: VirtualMachine, objects: ObjectClient): Promise<VirtualMachine> {
  const { image } = startSourceOf(vm);
  if (!vm.spec || vm.spec.residentMemory !== undefined || image === undefined) return vm;
  const { residentMemory } = (await objects.get(virtualMachineImages, undefined, image))?.spec ?? {};
  const [resident, memory] = [parseBytes(residentMemory ?? ''), parseBytes(vm.spec.memory ?? '')];
  if (residentMemory === undefined || resident === undefined || memory === undefined || resident >= memory) return vm;
  return { ...vm, spec: { ...vm.spec, residentMemory } };
}

/** The memory of a machine that names none; undefined while its source has not said. */
export async function memoryOfSource(vm: VirtualMachine, objects: ObjectClient): Promise<string | undefined> {
  const { rule } = await lookUpSource(vm, objects);
  return rule?.defaultMiB === undefined ? undefined : formatBytes(rule.defaultMiB * MIB);
}

/** What a manifest left to the server once, it leaves to the server when it is sent again. */
function withKept(vm: VirtualMachine, previous: VirtualMachine): VirtualMachine {
  if (!vm.spec) return vm;
  const { memory = previous.spec?.memory, nodeName = previous.spec?.nodeName } = vm.spec;
  return { ...vm, spec: { ...vm.spec, ...(memory === undefined ? {} : { memory }), ...(nodeName === undefined ? {} : { nodeName }) } };
}

/** Binding and saying so are one write, whoever binds. */
function withBinding(vm: VirtualMachine): VirtualMachine {
  const nodeName = vm.spec?.nodeName;
  if (nodeName === undefined) return vm;
  const { nominatedNodeName: _nominated, ...status } = vm.status ?? {};
  const conditions = withCondition(status.conditions, { type: 'Scheduled', status: 'True', reason: 'Bound', message: `Bound to ${nodeName}.` }, systemClock.now());
  return { ...vm, status: { ...status, phase: 'Scheduled', conditions } };
}

async function sourceProblems(vm: VirtualMachine, objects: ObjectClient): Promise<readonly FieldProblem[]> {
  const { problem, rule } = await lookUpSource(vm, objects);
  if (problem) return [problem];
  const bytes = parseBytes(vm.spec?.memory ?? '');
  if (!rule || bytes === undefined) return [];
  if (rule.exactly && rule.defaultMiB !== undefined && bytes !== rule.defaultMiB * MIB) {
    return [{ field: 'spec.memory', reason: 'FieldValueInvalid', message: `must be ${rule.defaultMiB}Mi, the memory of the snapshot` }];
  }
  if (bytes < rule.minimumMiB * MIB) {
    return [{ field: 'spec.memory', reason: 'FieldValueInvalid', message: `must be at least ${rule.minimumMiB}Mi: image "${vm.spec?.source.image}" needs that much` }];
  }
  return [];
}

/** A machine bound by hand must name a node that exists; nobody else would tell why it never starts. */
async function nodeProblems(vm: VirtualMachine, previous: VirtualMachine | undefined, objects: ObjectClient): Promise<readonly FieldProblem[]> {
  const nodeName = vm.spec?.nodeName;
  if (nodeName === undefined || nodeName === previous?.spec?.nodeName || (await objects.get(nodes, undefined, nodeName))) return [];
  return [{ field: 'spec.nodeName', reason: 'FieldValueNotFound', message: `node "${nodeName}" does not exist` }];
}

/** The memory compared with may be the source's, so this is no rule of the schema. */
function residentMemoryProblems({ spec }: VirtualMachine, previous: VirtualMachine | undefined): readonly FieldProblem[] {
  const [memory, resident] = [parseBytes(spec?.memory ?? ''), parseBytes(spec?.residentMemory ?? '')];
  if (memory === undefined || resident === undefined || resident <= memory || spec?.residentMemory === previous?.spec?.residentMemory) return [];
  return [invalid('spec.residentMemory', `must be at most spec.memory, ${spec?.memory}`)];
}

async function lookUpSource(vm: VirtualMachine, objects: ObjectClient): Promise<{ readonly problem?: FieldProblem; readonly rule?: MemoryRule }> {
  const { image, snapshot } = startSourceOf(vm);
  if (image !== undefined && snapshot === undefined) {
    const found = await objects.get(virtualMachineImages, undefined, image);
    return found ? imageRule(found) : { problem: notFound('spec.source.image', 'VirtualMachineImage', image) };
  }
  if (snapshot !== undefined && image === undefined) {
    const found = await objects.get(virtualMachineSnapshots, vm.metadata.namespace, snapshot);
    return found ? snapshotRule(found) : { problem: notFound('spec.source.snapshot', 'VirtualMachineSnapshot', snapshot) };
  }
  return {};
}

function imageRule(image: VirtualMachineImage): { readonly problem?: FieldProblem; readonly rule?: MemoryRule } {
  const { name, deletionTimestamp } = image.metadata;
  const ready = findCondition(image.status?.conditions, 'Ready');
  if (deletionTimestamp !== undefined) return { problem: invalid('spec.source.image', `VirtualMachineImage "${name}" is being deleted`) };
  if (ready && hasFailedForGood(ready)) return { problem: invalid('spec.source.image', `VirtualMachineImage "${name}" cannot be used: ${ready.reason}: ${ready.message}`) };
  const declared = mebibytes(image.spec?.minimumMemory) ?? 0;
  return { rule: { defaultMiB: mebibytes(image.spec?.memory), minimumMiB: Math.max(declared, minimumMemoryMiB(image.status?.artifacts ?? {})), exactly: false } };
}

function snapshotRule(snapshot: VirtualMachineSnapshot): { readonly problem?: FieldProblem; readonly rule?: MemoryRule } {
  const { name, deletionTimestamp } = snapshot.metadata;
  const ready = findCondition(snapshot.status?.conditions, 'Ready');
  if (deletionTimestamp !== undefined) return { problem: invalid('spec.source.snapshot', `VirtualMachineSnapshot "${name}" is being deleted`) };
  if (ready?.status === 'False' && snapshot.status?.completedAt !== undefined) {
    return { problem: invalid('spec.source.snapshot', `VirtualMachineSnapshot "${name}" failed: ${ready.reason}: ${ready.message}`) };
  }
  if (ready?.status === 'True' && snapshot.status?.imageParts === undefined) {
    return { problem: invalid('spec.source.snapshot', `VirtualMachineSnapshot "${name}" was taken by an older version of Corral, which did not keep what it was made of: take another`) };
  }
  return { rule: { defaultMiB: snapshot.status?.memoryMiB, minimumMiB: 0, exactly: true } };
}

const mebibytes = (quantity: string | undefined): number | undefined => {
  const bytes = parseBytes(quantity ?? '');
  return bytes === undefined ? undefined : Math.ceil(bytes / MIB);
};
const notFound = (field: string, kind: string, name: string): FieldProblem => ({ field, reason: 'FieldValueNotFound', message: `${kind} "${name}" does not exist` });
const invalid = (field: string, message: string): FieldProblem => ({ field, reason: 'FieldValueInvalid', message });
