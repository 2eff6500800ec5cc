import type { ImageParts, KubeObject, VirtualMachine, VirtualMachineImage, VirtualMachineSnapshot } from '@corral/contracts';
import { artifactsToDelete, namedArtifacts, type ArtifactUsers } from './artifact-references.ts';

const digest = (letter: string): string => letter.repeat(64);
const stored = (letter: string) => ({ key: `artifacts/sha256/${digest(letter)}`, sha256: digest(letter), sizeBytes: 1 });
const parts = (kernel: string): ImageParts => ({ artifacts: { kernel: stored(kernel) }, commandLine: '', guestAgent: true, acpi: false });
const object = (name: string): Pick<KubeObject, 'apiVersion' | 'kind' | 'metadata'> => ({
  apiVersion: 'corral.dev/v1', kind: 'Any', metadata: { name, uid: `uid of ${name}`, resourceVersion: '1', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' },
});

const image = (name: string, kernel: string): VirtualMachineImage => ({ ...object(name), status: { artifacts: { kernel: stored(kernel) } } });
const wish = (name: string, url: string, sha256?: string): VirtualMachineImage => ({
  ...object(name), spec: { kernel: { url, ...(sha256 === undefined ? {} : { sha256 }) }, commandLine: '', memory: '128Mi', guestAgent: false, acpi: false },
});
const machine = (name: string, from: string, kernel?: string): VirtualMachine => ({
  ...object(name),
  spec: { source: { image: from }, powerState: 'Running', restartPolicy: 'Always', bootPolicy: 'Golden', nodeSelector: {} },
  status: kernel === undefined ? {} : { imageParts: parts(kernel) },
});
const snapshot = (name: string, kernel?: string): VirtualMachineSnapshot => ({ ...object(name), status: kernel === undefined ? {} : { imageParts: parts(kernel) } });

const users = (some: Partial<ArtifactUsers>): ArtifactUsers => ({ images: [], machines: [], snapshots: [], ...some });

it('every object that needs an artifact names it', () => {
  const named = namedArtifacts(
    users({
      images: [image('stored', 'a'), wish('uploaded', `artifact:${digest('b')}`), wish('by-digest', 'https://example.com/kernel', digest('c')), wish('by-url', 'https://example.com/kernel')],
      machines: [machine('runs', 'gone', 'd'), machine('new', 'stored')],
      snapshots: [snapshot('kept', 'e'), snapshot('failed')],
    }),
  );
  expect([...named].sort()).toEqual(['a', 'b', 'c', 'd', 'e'].map(digest));
});

const leaver = image('leaver', 'a');
it.each<[string, Partial<ArtifactUsers>, string[]]>([
  ['goes with the last image that has it', { images: [leaver, image('other', 'b')] }, ['a']],
  ['stays while another image has it', { images: [leaver, image('other', 'a')] }, []],
  ['stays while a machine came from it', { images: [leaver], machines: [machine('demo', 'leaver', 'a')] }, []],
  ['stays while a machine is about to start from it', { images: [leaver], machines: [machine('demo', 'leaver')] }, []],
  ['stays while a snapshot came from it', { images: [leaver], snapshots: [snapshot('demo-1', 'a')] }, []],
  ['goes whatever machines and snapshots of others need', { images: [leaver], machines: [machine('demo', 'other', 'b'), machine('new', 'other')], snapshots: [snapshot('demo-1', 'c')] }, ['a']],
])('an artifact %s', (_what, some, gone) => {
  expect(artifactsToDelete(leaver, users(some))).toEqual(gone.map(digest));
});
