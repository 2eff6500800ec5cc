import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { namespaces, NODE_LEASE_NAMESPACE } from '@corral/contracts';
import { ADMIN_TOKEN, startApi, type ApiFixture } from '../../testing/api-fixture.ts';
import { VirtualMachinesModule } from '../virtual-machines/virtual-machines.module.ts';
import { registerNode } from '../../../test/fake-node.ts';

const ROOT = join(import.meta.dirname, '../../../../..');
const DEADLINE_MS = 120_000;
/** A watch goes on until it is cut off. */
const REQUEST_SECONDS = 3;

/** The page's shell blocks as one script, in a folder like the one they are written for; it says the code of every answer. */
function scriptOf(url: string): string {
  const blocks = [...readFileSync(join(ROOT, 'docs/api-conventions.md'), 'utf8').matchAll(/```sh\n(.*?)```/gs)].map(([, block = '']) => block);
  const text = blocks.join('\n').replace(/^export CORRAL=.*$/m, `export CORRAL=${url}`);
  return text.replace('curl -sS', `curl -sS --max-time ${REQUEST_SECONDS} -w '%{stderr}%{http_code} %{method} %{url}\\n'`);
}

let api: ApiFixture;
beforeAll(async () => {
  api = await startApi({ imports: [VirtualMachinesModule] });
  await api.client.create(namespaces, { metadata: { name: NODE_LEASE_NAMESPACE } });
  await registerNode(api.client, 'worker-1');
}, 60_000);
afterAll(() => api.stop());

/** What the page's reader needs as well. */
const hasPrograms = ['bash', 'curl', 'jq'].every((program) => spawnSync(program, ['--version']).status === 0);

(hasPrograms ? it : it.skip)('every request of the page is answered as the page says (needs bash, curl and jq)', async () => {
  const folder = join(api.home, 'docs');
  mkdirSync(join(folder, '.corral'), { recursive: true });
  writeFileSync(join(folder, '.corral', 'admin-token'), ADMIN_TOKEN);
  writeFileSync(join(folder, 'vm.yaml'), 'apiVersion: corral.dev/v1\nkind: VirtualMachine\nmetadata: {name: from-yaml}\nspec: {source: {image: linux-minimal}, memory: 128Mi}\n');
  const { stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve) =>
    execFile('bash', ['-c', scriptOf(api.url)], { cwd: folder, timeout: DEADLINE_MS }, (_error, stdout, said) => resolve({ stdout, stderr: said })),
  );
  const answers = [...stderr.matchAll(/^(\d{3}) (\w+) (\S+)$/gm)].map(([, code = '', method = '', address = '']) => ({ code: Number(code), what: `${method} ${address.replace(api.url, '')}` }));
  const refused = answers.filter(({ code }) => code >= 300);
  expect(answers.length).toBeGreaterThan(25);
  expect(refused).toEqual([
    // What the page shows a conflict with; and the machine it waits for was deleted further up.
    { code: 409, what: expect.stringContaining('fieldManager=night-watch') as string },
    { code: 404, what: expect.stringContaining('/demo/wait?for=condition=Ready') as string },
    { code: 403, what: 'GET /apis/corral.dev/v1/namespaces/default/virtualmachines' },
  ]);
}, DEADLINE_MS);
