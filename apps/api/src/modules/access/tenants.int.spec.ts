import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Kubectl, kubectlOnPath, obtainKubectl } from '@corral/testing';
import { jest } from '@jest/globals';
import { ADMIN_TOKEN, startApi, type ApiFixture } from '../../testing/api-fixture.ts';

const ROOT = join(import.meta.dirname, '../../../../..');
const DEADLINE_MS = 240_000;
jest.setTimeout(DEADLINE_MS);

interface Line {
  readonly command: string;
  readonly prints: string;
}

/** The commands of the page's shell blocks, each with what it is said to print. */
const LINES: readonly Line[] = [...readFileSync(join(ROOT, 'docs/tenants.md'), 'utf8').matchAll(/```sh\n(.*?)```/gs)]
  .flatMap(([, block = '']) => block.trim().split('\n'))
  .map((line) => {
    const [command = '', prints = ''] = line.split('# → ').map((part) => part.trim());
    return { command, prints };
  });

let api: ApiFixture;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  api = await startApi();
  const home = join(api.home, 'docs');
  const program = kubectlOnPath() ?? (await obtainKubectl(join(ROOT, '.corral-test/programs')));
  // Writes the kubeconfig.
  new Kubectl(program, home, { server: api.url.replace('http:', 'https:'), certificate: api.certificate, token: ADMIN_TOKEN, namespace: 'default' });
  mkdirSync(join(home, 'bin'));
  symlinkSync(program, join(home, 'bin', 'kubectl'));
  env = { PATH: `${join(home, 'bin')}${delimiter}${process.env['PATH'] ?? ''}`, HOME: home, KUBECONFIG: join(home, 'kubeconfig') };
}, DEADLINE_MS);
afterAll(() => api.stop(), DEADLINE_MS);

function output(command: string): Promise<string> {
  return new Promise((resolve) => execFile('sh', ['-c', command], { env, timeout: 60_000 }, (_error, stdout, stderr) => resolve(`${stdout}${stderr}`)));
}

it('every line of the page on tenants prints what it is said to print', async () => {
  expect(LINES.length).toBeGreaterThan(20);
  const wrong: string[] = [];
  for (const { command, prints } of LINES) {
    const printed = await output(command);
    const refusal = /^error: … (.*)$/.exec(prints)?.[1];
    const isRight = refusal === undefined ? printed.trim().split('\n').includes(prints) : /^error/i.test(printed) && printed.includes(refusal);
    if (!isRight) wrong.push(`${command}\n${printed}`);
  }
  expect(wrong).toEqual([]);
});
