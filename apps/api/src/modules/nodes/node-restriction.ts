import { Inject, Injectable } from '@nestjs/common';
import { bodyOf, sameJson } from '@corral/api-machinery';
import {
  events, isSnapshotOver, leases, nodes, Problem, qualifiedResource, virtualMachines, virtualMachineSnapshots,
  type Event, type KindDefinition, type KubeObject, type Node, type ObjectClient, type VirtualMachine, type VirtualMachineSnapshot, type VmHibernation,
} from '@corral/contracts';
import { MACHINE_FINALIZER } from '@corral/vm-lifecycle';
import { nodeNameOf } from '../../platform/auth/node-authorizer.ts';
import type { Identity } from '../../platform/auth/user.ts';
import { Admission } from '../../platform/objects/admission.ts';

/** Labels a node says of itself; all others are said of it by people, who select by them. */
const OWN_LABELS = ['kubernetes.io/hostname', 'kubernetes.io/arch', 'kubernetes.io/os', 'corral.dev/v86-build'];
const OWN_LABEL_PREFIX = 'node.corral.dev/';

/**
 * Confines nodes to themselves and to what is bound to them: rights are by kind, and what is bound where changes. This is
 * what keeps a node that was out of touch from writing about machines it has lost. Source: Kubernetes, NodeRestriction.
 */
@Injectable()
export class NodeRestriction {
  constructor(@Inject(Admission) admission: Admission) {
    admission.permit(nodes, async (node, previous, { user }) => whenNode(user, (name) => permitNode(node, previous, name)));
    admission.permit(leases, async (lease, _previous, { user }) => whenNode(user, (name) => requireSelf(leases, lease, name)));
    admission.permit(events, async (event, previous, { user, objects }) => {
      const name = nodeNameOf(user);
      if (name !== undefined) await permitEvent(event as Event, previous as Event | undefined, name, objects);
    });
    admission.permit(virtualMachines, async (vm, previous, { user }) => whenNode(user, (name) => permitMachine(vm, previous, name)));
    admission.permitStatus(virtualMachines, async (vm, previous, { user }) => whenNode(user, (name) => permitMachineStatus(vm, previous, name)));
    admission.permitStatus(virtualMachineSnapshots, async (_snapshot, previous, { user, objects }) => {
      const name = nodeNameOf(user);
      if (name !== undefined) await permitSnapshotStatus(previous, name, objects);
    });
  }
}

function whenNode(user: Identity, permit: (nodeName: string) => void): void {
  const nodeName = nodeNameOf(user);
  if (nodeName !== undefined) permit(nodeName);
}

function refuse<Spec, Status>(kind: KindDefinition<Spec, Status>, { metadata }: KubeObject, nodeName: string, why: string): Problem {
  const { name } = metadata;
  return new Problem('request.forbidden', `${qualifiedResource(kind)} "${name}" is forbidden: node "${nodeName}" ${why}`, { details: { name, group: kind.group, kind: kind.plural } });
}

function requireSelf<Spec, Status>(kind: KindDefinition<Spec, Status>, object: KubeObject, nodeName: string): void {
  if (object.metadata.name !== nodeName) throw refuse(kind, object, nodeName, 'may only write its own');
}

function permitNode(node: Node, previous: Node | undefined, nodeName: string): void {
  requireSelf(nodes, node, nodeName);
  if (!previous) return;
  if (!sameJson(bodyOf(node), bodyOf(previous))) throw refuse(nodes, node, nodeName, 'may not change its spec: whether it takes machines is not for itself to say');
  const [before, after] = [previous.metadata.labels ?? {}, node.metadata.labels ?? {}];
  const changed = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((key) => before[key] !== after[key]);
  const foreign = changed.find((key) => !OWN_LABELS.includes(key) && !key.startsWith(OWN_LABEL_PREFIX));
  if (foreign !== undefined) throw refuse(nodes, node, nodeName, `may not change its label ${foreign}`);
}

/** Its finalizer, and nothing else. */
function permitMachine(vm: VirtualMachine, previous: VirtualMachine | undefined, nodeName: string): void {
  if (previous?.spec?.nodeName !== nodeName) throw refuse(virtualMachines, vm, nodeName, 'has no say in it: it is not bound there');
  const others = ({ metadata }: VirtualMachine) => ({ ...metadata, generation: 0, managedFields: undefined, finalizers: (metadata.finalizers ?? []).filter((name) => name !== MACHINE_FINALIZER) });
  if (!sameJson(bodyOf(vm), bodyOf(previous)) || !sameJson(others(vm), others(previous))) throw refuse(virtualMachines, vm, nodeName, `may only put on or take off the finalizer ${MACHINE_FINALIZER}`);
}

function permitMachineStatus({ status, ...vm }: VirtualMachine, previous: VirtualMachine, nodeName: string): void {
  if (previous.spec?.nodeName !== nodeName) throw refuse(virtualMachines, vm, nodeName, 'has no say in it: it is not bound there');
  if (status?.nodeName !== undefined && status.nodeName !== nodeName) throw refuse(virtualMachines, vm, nodeName, 'may not say that it runs elsewhere');
  const [before, after] = [previous.status?.incarnation ?? 0, status?.incarnation ?? 0];
  if (after < before || after > before + 1) throw refuse(virtualMachines, vm, nodeName, `may not go from incarnation ${before} to ${after}`);
  const isChanged = (field: 'move' | 'continueFrom' | 'lastRollback'): boolean => status?.[field] !== undefined && !sameJson(status[field], previous.status?.[field]);
  const storageOf = (hibernation: VmHibernation | undefined) => [hibernation?.snapshot, hibernation?.storedAt];
  const isStorageChanged = status?.hibernation !== undefined && !sameJson(storageOf(status.hibernation), storageOf(previous.status?.hibernation));
  if (isChanged('move') || isChanged('continueFrom') || isChanged('lastRollback') || isStorageChanged) throw refuse(virtualMachines, vm, nodeName, 'may not decide where it goes');
}

/** Nothing of a snapshot that has had its last word, and nothing of a machine that has left this node since. */
async function permitSnapshotStatus(previous: VirtualMachineSnapshot, nodeName: string, objects: ObjectClient): Promise<void> {
  if (previous.spec?.nodeName !== nodeName) throw refuse(virtualMachineSnapshots, previous, nodeName, 'has no say in it: it is not bound there');
  if (isSnapshotOver(previous)) throw refuse(virtualMachineSnapshots, previous, nodeName, 'has no say in it any more: it is over');
  const vm = await objects.get(virtualMachines, previous.metadata.namespace, previous.spec.virtualMachine);
  const isOfIt = vm && vm.metadata.uid === previous.status?.virtualMachineUid;
  if (isOfIt && vm.spec?.nodeName !== nodeName) throw refuse(virtualMachineSnapshots, previous, nodeName, 'has no say in it any more: the machine has left that node');
}

/** About itself, and about what is bound to it. */
async function permitEvent(event: Event, previous: Event | undefined, nodeName: string, objects: ObjectClient): Promise<void> {
  const { kind, namespace, name = '' } = event.involvedObject;
  if (previous && (!sameJson(previous.involvedObject, event.involvedObject) || previous.source?.host !== nodeName)) throw refuse(events, event, nodeName, 'may only count its own events');
  if (kind === nodes.kind && name === nodeName) return;
  const found = kind === virtualMachines.kind ? await objects.get(virtualMachines, namespace, name) : kind === virtualMachineSnapshots.kind ? await objects.get(virtualMachineSnapshots, namespace, name) : undefined;
  if (found?.spec?.nodeName !== nodeName || found.metadata.uid !== event.involvedObject.uid) throw refuse(events, event, nodeName, 'may only tell of itself and of what is bound to it');
}
