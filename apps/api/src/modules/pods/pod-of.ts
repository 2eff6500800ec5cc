import { createHash } from 'node:crypto';
import { findCondition, POD_CONTAINER, startSourceOf, type Pod, type PodStatus, type VirtualMachine } from '@corral/contracts';

/** Whether a machine is there as a Pod: while it runs, or will without anybody's doing. What rests keeps its place and bothers nobody. */
export function hasPod({ metadata, spec, status }: VirtualMachine): boolean {
  if (metadata.deletionTimestamp !== undefined) return true;
  if (status?.phase === 'Stopped' || status?.phase === 'Hibernated') return false;
  if (status?.phase === 'Failed') return status.nextStartTime !== undefined;
  return spec?.powerState !== 'Stopped' || status?.phase === 'Running' || status?.phase === 'Paused' || status?.phase === 'Stopping';
}

/** The machine as a Pod. Bound to another node it is another Pod: that is how `kubectl drain` sees that it has left. */
export function podOf(vm: VirtualMachine): Pod {
  const { metadata, spec, status } = vm;
  const { name, namespace, resourceVersion, creationTimestamp, deletionTimestamp, labels, annotations } = metadata;
  const { image: named, snapshot, virtualMachine } = startSourceOf(vm);
  const image = named ?? snapshot ?? virtualMachine ?? '';
  const nodeName = spec?.nodeName;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      uid: uidOf(metadata.uid, nodeName),
      resourceVersion,
      generation: metadata.generation,
      creationTimestamp,
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
      ...(labels ? { labels } : {}),
      ...(annotations ? { annotations } : {}),
      // So that drain takes it for something that comes back by itself, as it does.
      ownerReferences: [{ apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', name, uid: metadata.uid, controller: true, blockOwnerDeletion: true }],
    },
    spec: {
      ...(nodeName === undefined ? {} : { nodeName }),
      restartPolicy: spec?.restartPolicy ?? 'Always',
      containers: [{ name: POD_CONTAINER, image, resources: { requests: spec?.memory === undefined ? {} : { memory: spec.memory } } }],
      ...(spec?.tolerations ? { tolerations: [...spec.tolerations] } : {}),
      ...(spec?.priorityClassName === undefined ? {} : { priorityClassName: spec.priorityClassName }),
      ...(spec?.priority === undefined ? {} : { priority: spec.priority }),
      terminationGracePeriodSeconds: 30,
    },
    status: podStatus(vm, image, status?.startedAt ?? creationTimestamp),
  };
}

function podStatus({ metadata, status }: VirtualMachine, image: string, since: string): PodStatus {
  const phase = phaseOf(status?.phase);
  const ready = findCondition(status?.conditions, 'Ready');
  const isReady = ready?.status === 'True';
  const time = ready?.lastTransitionTime ?? metadata.creationTimestamp;
  const condition = (type: string, isTrue: boolean): PodStatus['conditions'][number] => ({
    type, status: isTrue ? 'True' : 'False', reason: isTrue ? '' : (ready?.reason ?? ''), message: isTrue ? '' : (ready?.message ?? ''), lastTransitionTime: time,
  });
  const isRunning = phase === 'Running';
  return {
    phase,
    ...(!isReady && ready ? { reason: ready.reason, message: ready.message } : {}),
    qosClass: 'Burstable',
    ...(status?.startedAt === undefined ? {} : { startTime: status.startedAt }),
    conditions: [
      condition('PodScheduled', findCondition(status?.conditions, 'Scheduled')?.status === 'True'),
      condition('Initialized', true),
      condition('ContainersReady', isReady),
      condition('Ready', isReady),
    ],
    containerStatuses: [
      {
        name: POD_CONTAINER, image, imageID: status?.startedFrom?.digest ?? '', ready: isReady, started: isRunning, restartCount: status?.restartCount ?? 0,
        state: isRunning ? { running: { startedAt: since } } : { waiting: { reason: ready?.reason ?? 'Pending', message: ready?.message ?? '' } },
      },
    ],
  };
}

function phaseOf(phase: NonNullable<VirtualMachine['status']>['phase']): PodStatus['phase'] {
  switch (phase) {
    case 'Running':
    case 'Paused':
    case 'Stopping':
    case 'Terminating':
      return 'Running';
    case 'Stopped':
      return 'Succeeded';
    case 'Failed':
      return 'Failed';
    default:
      return 'Pending';
  }
}

/** The same for the same machine on the same node. Source: RFC 9562, version 8. */
function uidOf(uid: string, nodeName = ''): string {
  const hex = createHash('sha256').update(`${uid}/${nodeName}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

