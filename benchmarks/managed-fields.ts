/**
 * What managedFields cost at every write, in microseconds of one core: no server, only the functions. Run it with
 * `node --conditions=@corral/source benchmarks/managed-fields.ts`.
 */
import { randomUUID } from 'node:crypto';
import {
  acceptCandidate, afterUpdate, applyTo, applyToNothing, candidateForCreate, candidateForUpdate, readApplied, withManagedFields, type Decoded,
} from '@corral/api-machinery';
import { virtualMachines, withCondition, type KindDefinition, type KubeObject } from '@corral/contracts';

const kind: KindDefinition = virtualMachines;
const now = new Date();
const ROUNDS = 20_000;

const sent = {
  apiVersion: 'corral.dev/v1', kind: 'VirtualMachine',
  metadata: { name: 'demo', labels: { app: 'demo', tier: 'web', 'example.com/team': 'a' }, annotations: { 'example.com/note': 'hello' } },
  spec: { source: { image: 'linux-minimal' }, memory: '128Mi', restartPolicy: 'OnFailure', nodeSelector: { zone: 'a' } },
};
const decoded: Decoded = { value: sent, duplicates: [] };
const birth = { now, uid: randomUUID(), nameSuffix: 'abcde' };
const born = (): KubeObject => {
  const candidate = candidateForCreate(kind, decoded, { namespace: 'default' }, birth);
  acceptCandidate(kind, candidate, 'Strict');
  return candidate.object;
};

const made = born();
const created = withManagedFields(made, afterUpdate(kind, undefined, made, [], { manager: 'bench', now }));
const conditions = ['Ready', 'Scheduled', 'GuestAgentReady', 'Snapshotted'].reduce<ReturnType<typeof withCondition>>((list, type) => withCondition(list, { type, status: 'True', reason: 'Test' }, now), []);
const running: KubeObject = { ...created, status: { phase: 'Running', nodeName: 'worker-1', incarnation: 1, conditions, residentBytes: 1, startedAt: now.toISOString() } };
const reported = withManagedFields(running, afterUpdate(kind, created, running, created.metadata.managedFields ?? [], { manager: 'corral-worker', subresource: 'status', now }));
const next: KubeObject = { ...reported, status: { ...(reported.status as object), residentBytes: 2 } };
const configuration = readApplied(kind, sent, undefined);
const application = { manager: 'applier', force: false, now };
const { value, entries } = applyToNothing(kind, configuration, application);
const applied = withManagedFields({ ...made, ...(value as object), metadata: made.metadata }, entries);

const unchanged = candidateForUpdate(kind, { value: reported, duplicates: [] }, reported).object;

const measures: readonly (readonly [name: string, work: () => unknown])[] = [
  ['decode, default and validate a create (for comparison)', born],
  ['managedFields of a create', () => afterUpdate(kind, undefined, made, [], { manager: 'bench', now })],
  ['managedFields of a status write', () => afterUpdate(kind, reported, next, reported.metadata.managedFields ?? [], { manager: 'corral-worker', subresource: 'status', now })],
  ['managedFields of a write that changes nothing', () => afterUpdate(kind, reported, unchanged, reported.metadata.managedFields ?? [], { manager: 'bench', now })],
  ['read and apply a configuration that changes nothing', () => applyTo(kind, applied, readApplied(kind, sent, undefined), application)],
];

for (const [name, work] of measures) {
  for (let round = 0; round < ROUNDS / 10; round += 1) work();
  const start = performance.now();
  for (let round = 0; round < ROUNDS; round += 1) work();
  console.log(`${(((performance.now() - start) * 1000) / ROUNDS).toFixed(1).padStart(8)} µs  ${name}`);
}
console.log(`${JSON.stringify(created.metadata.managedFields).length.toString().padStart(8)} B   managedFields of a machine just created; ${JSON.stringify(reported.metadata.managedFields).length} B once its node reported`);
