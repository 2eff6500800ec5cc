import {
  apiPath,
  type ForkResult,
  type ForkWish,
  type KindDefinition,
  type NewObject,
  type KubeObject,
  type VirtualMachine,
  type VirtualMachineSnapshot,
  type Node,
} from '@corral/contracts';
import { request } from './request.ts';

/** Names of a kind in paths; the definitions themselves bring their schemas along, which the browser has no use for. */
export type Resource = Pick<KindDefinition, 'group' | 'version' | 'plural' | 'scope' | 'kind'>;

const corral = (kind: string, scope: Resource['scope'] = 'Namespaced'): Resource => ({
  group: 'corral.dev',
  version: 'v1',
  kind,
  plural: `${kind.toLowerCase()}s`,
  scope,
});
const core = (kind: string, scope: Resource['scope'] = 'Namespaced'): Resource => ({
  group: '',
  version: 'v1',
  kind,
  plural: `${kind.toLowerCase()}s`,
  scope,
});

export const MACHINES = corral('VirtualMachine');
export const SNAPSHOTS = corral('VirtualMachineSnapshot');
export const POOLS = corral('VirtualMachinePool');
export const IMAGES = corral('VirtualMachineImage', 'Cluster');
export const NODES = core('Node', 'Cluster');
export const NAMESPACES = core('Namespace', 'Cluster');
export const EVENTS = core('Event');
export const QUOTAS = core('ResourceQuota');
export const ROLE_BINDINGS: Resource = {
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  kind: 'RoleBinding',
  plural: 'rolebindings',
  scope: 'Namespaced',
};
export const AUDIT_EVENTS: Resource = {
  group: 'audit.corral.dev',
  version: 'v1',
  kind: 'AuditEvent',
  plural: 'auditevents',
  scope: 'Namespaced',
};

const MERGE_PATCH = 'application/merge-patch+json';

export const machinePath = (namespace: string, name: string, subresource?: string): string =>
  apiPath(MACHINES, namespace, name, subresource);
export const eventsOfPath = (namespace: string, uid: string): string =>
  `${apiPath(EVENTS, namespace)}?fieldSelector=${encodeURIComponent(`involvedObject.uid=${uid}`)}`;

export function create<T extends KubeObject>(
  resource: Resource,
  object: NewObject,
  options: { readonly dryRun?: boolean } = {},
): Promise<T> {
  const path = apiPath(resource, object.metadata.namespace);
  return request<T>(options.dryRun ? `${path}?dryRun=All` : path, {
    method: 'POST',
    body: manifestOf(resource, object),
  });
}

/** The object as one would write it in a file. */
export function manifestOf(resource: Resource, object: NewObject): object {
  return {
    apiVersion: resource.group === '' ? resource.version : `${resource.group}/${resource.version}`,
    kind: resource.kind,
    ...object,
  };
}

export type PowerState = NonNullable<VirtualMachine['spec']>['powerState'];

export function setPowerState({ metadata }: VirtualMachine, powerState: PowerState): Promise<VirtualMachine> {
  return request(apiPath(MACHINES, metadata.namespace, metadata.name), {
    method: 'PATCH',
    contentType: MERGE_PATCH,
    body: { metadata: { uid: metadata.uid }, spec: { powerState } },
  });
}

/** Writes it out whole, or wakes it. */
export function turnSleep({ metadata }: VirtualMachine, turn: 'hibernate' | 'wake'): Promise<VirtualMachine> {
  return request(apiPath(MACHINES, metadata.namespace, metadata.name, turn), { method: 'POST' });
}

export function setCordoned({ metadata }: Node, unschedulable: boolean): Promise<Node> {
  return request(apiPath(NODES, undefined, metadata.name), {
    method: 'PATCH',
    contentType: MERGE_PATCH,
    body: { spec: { unschedulable } },
  });
}

/** Deletes this very object, not another that took its name meanwhile. */
export function remove(resource: Resource, { metadata }: KubeObject): Promise<unknown> {
  return request(apiPath(resource, metadata.namespace, metadata.name), {
    method: 'DELETE',
    body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid: metadata.uid } },
  });
}

export function takeSnapshot({ metadata }: VirtualMachine, name: string): Promise<VirtualMachineSnapshot> {
  return create(SNAPSHOTS, {
    metadata: { name, namespace: metadata.namespace ?? 'default' },
    spec: { virtualMachine: metadata.name },
  });
}

/** Copies that go on from where the machine is now; sent again with the same key it makes no others. */
export function fork({ metadata }: VirtualMachine, wish: ForkWish, key: string): Promise<ForkResult> {
  return request(apiPath(MACHINES, metadata.namespace, metadata.name, 'fork'), {
    method: 'POST',
    headers: { 'Idempotency-Key': key },
    body: wish,
  });
}

/** A new value asks for a rollback also to the snapshot that the source names already; the contracts' ROLLED_BACK_ANNOTATION. */
const ROLLED_BACK_ANNOTATION = 'corral.dev/rolled-back-at';

/** What takes a machine back to a snapshot: the whole source, so that nothing else of it stays. */
export function rollbackPatch({ spec }: Pick<VirtualMachine, 'spec'>, snapshot: string, now: Date): object {
  const others = Object.fromEntries(Object.keys(spec?.source ?? {}).map((field) => [field, null]));
  return {
    metadata: { annotations: { [ROLLED_BACK_ANNOTATION]: now.toISOString() } },
    spec: { source: { ...others, snapshot } },
  };
}

export function rollBack(vm: VirtualMachine, snapshot: string, now: Date): Promise<VirtualMachine> {
  const { namespace, name } = vm.metadata;
  return request(apiPath(MACHINES, namespace, name), {
    method: 'PATCH',
    contentType: MERGE_PATCH,
    body: { ...rollbackPatch(vm, snapshot, now) },
  });
}
