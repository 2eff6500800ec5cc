import { join } from 'node:path';
import { Kubectl, kubectlOfVersion, kubectlOnPath, obtainKubectl, picksKubectl } from '@corral/testing';
import { PodsModule } from '../../src/modules/pods/pods.module.ts';
import { ADMIN_TOKEN, startApi, type ApiFixture } from '../../src/testing/api-fixture.ts';

/** Each kubectl is a process of its own, and slow to start on a busy machine. */
export const DEADLINE_MS = 240_000;
/** Debian's kubectl, kept between runs: the download is the same every time. */
const CACHE = join(import.meta.dirname, '../../../../.corral-test/programs');

/** One of the kubectls that users have. */
export interface KubectlProgram {
  readonly name: string;
  readonly minor: number;
  readonly find: () => string | Promise<string>;
  /** Why it cannot be driven here. */
  readonly skipped?: string;
}

function ofVersion(minor: number): KubectlProgram {
  const name = `1.${minor}`;
  const found = kubectlOfVersion(name);
  return { name, minor, find: () => found ?? '', ...(found === undefined ? { skipped: `this machine has no kubectl ${name}` } : {}) };
}

/** Debian's, which is years older than the others. */
export const debian: KubectlProgram = { name: 'of Debian', minor: 20, find: () => obtainKubectl(CACHE) };
const onPath = kubectlOnPath();
/** The machine's own, whatever it is; none where it would be one of the versions once more, at twice the time. */
export const machine: readonly KubectlProgram[] =
  onPath !== undefined && picksKubectl(onPath)
    ? []
    : [{ name: 'on the PATH', minor: 27, find: () => onPath ?? '', ...(onPath === undefined ? { skipped: 'this machine has no kubectl on its PATH' } : {}) }];
export const versions = (...minors: readonly number[]): readonly KubectlProgram[] => minors.map(ofVersion);

/** A kubectl with a namespace of its own in an API that several share. */
export interface KubectlSubject {
  readonly kubectl: Kubectl;
  readonly api: ApiFixture;
  readonly namespace: string;
  readonly minor: number;
  /** kubectl before 1.27 checks manifests itself unless told not to; later ones leave it to the server, strictly. */
  readonly serverValidation: readonly string[];
  /** One field of a machine. */
  field(vm: string, path: string): Promise<string>;
  /** Runs what must fail, and answers why it did. */
  refusal(args: readonly string[], stdin?: string): Promise<string>;
}

export type KubectlCases = (subject: () => KubectlSubject) => void;

/** Runs groups of cases, each in a namespace of its own, with every program there is; says which there are not. */
export function describeKubectls(programs: readonly KubectlProgram[], groups: Readonly<Record<string, KubectlCases>>): void {
  let api: ApiFixture;
  beforeAll(async () => {
    // `kubectl get all` and `describe node` ask for Pods.
    api = await startApi({ imports: [PodsModule] });
  }, DEADLINE_MS);
  afterAll(() => api.stop(), DEADLINE_MS);

  for (const { name, skipped } of programs) if (skipped !== undefined) it.skip(`kubectl ${name}: ${skipped}`, () => undefined);
  for (const program of programs.filter(({ skipped }) => skipped === undefined)) {
    describe(`kubectl ${program.name}`, () => {
      describe.each(Object.entries(groups))('%s', (group, cases) => {
        let subject: KubectlSubject;
        beforeAll(async () => {
          subject = await subjectOf(api, program, `kubectl-${program.name}-${group}`.toLowerCase().replaceAll(/\W/g, '-'));
        }, DEADLINE_MS);
        cases(() => subject);
      });
    });
  }
}

async function subjectOf(api: ApiFixture, { find, minor }: KubectlProgram, namespace: string): Promise<KubectlSubject> {
  const server = api.url.replace('http:', 'https:');
  const kubectl = new Kubectl(await find(), join(api.home, namespace), { server, certificate: api.certificate, token: ADMIN_TOKEN, namespace });
  await kubectl.ok(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }));
  return {
    kubectl, api, namespace, minor,
    serverValidation: minor < 27 ? ['--validate=false'] : [],
    field: (vm, path) => kubectl.ok(['get', 'vm', vm, '-o', `jsonpath={${path}}`]),
    refusal: async (args, stdin) => {
      const { exitCode, stdout, stderr } = await kubectl.run(args, stdin);
      if (exitCode === 0) throw new Error(`kubectl ${args.join(' ')} succeeded: ${stdout}`);
      return stderr.trim();
    },
  };
}

/** A machine as a manifest. */
export const manifest = (name: string, spec: object = {}, metadata: object = {}): string =>
  JSON.stringify({
    apiVersion: 'corral.dev/v1', kind: 'VirtualMachine', metadata: { name, labels: { app: 'demo' }, ...metadata }, spec: { source: { image: 'linux-minimal' }, memory: '128Mi', ...spec },
  });
