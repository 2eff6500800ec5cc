import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readTarget, writeContext } from './kubeconfig.ts';
import { UsageError } from './usage-error.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'corral-kubeconfig-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const ONE = `apiVersion: v1
kind: Config
# the office
clusters:
- {name: office, cluster: {server: "https://office:6443", insecure-skip-tls-verify: true}}
users:
- {name: ann, user: {token: anns}}
contexts:
- {name: office, context: {cluster: office, user: ann, namespace: team-a}}
current-context: office
`;
const TWO = `clusters:
- {name: home, cluster: {server: "http://127.0.0.1:8086", certificate-authority: ca.pem}}
users:
- {name: bob, user: {tokenFile: token}}
contexts:
- {name: home, context: {cluster: home, user: bob}}
current-context: home
`;

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

it('the current context says server, token and namespace', async () => {
  const target = await readTarget({ file: file('config', ONE), context: undefined, environment: {} });
  expect(target).toEqual({ server: 'https://office:6443', token: 'anns', namespace: 'team-a', certificateAuthority: undefined });
});

it('KUBECONFIG names several files: the first that names a thing wins, and files that are not there are passed over', async () => {
  file('ca.pem', 'PEM');
  file('token', 'bobs\n');
  const environment = { KUBECONFIG: [join(folder, 'absent'), file('one', ONE), file('two', TWO)].join(':') };
  expect((await readTarget({ file: undefined, context: undefined, environment })).server).toBe('https://office:6443');
  expect(await readTarget({ file: undefined, context: 'home', environment })).toEqual({ server: 'http://127.0.0.1:8086', token: 'bobs', namespace: undefined, certificateAuthority: 'PEM' });
});

it('a credential plugin is asked for the token', async () => {
  const plugin = `clusters: [{name: c, cluster: {server: "https://c"}}]
users: [{name: u, user: {exec: {command: sh, args: [-c, 'printf %s "{\\"status\\":{\\"token\\":\\"$SECRET\\"}}"'], env: [{name: SECRET, value: from-plugin}]}}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x`;
  const target = await readTarget({ file: file('plugin', plugin), context: undefined, environment: { PATH: process.env['PATH'] } });
  expect(target.token).toBe('from-plugin');
});

it.each([
  ['a context that is not there', ONE, 'nowhere'],
  ['no current context', 'contexts: []', undefined],
  ['a file that is something else', 'clusters: 7', undefined],
])('%s is the caller’s to put right', async (_what, text, context) => {
  await expect(readTarget({ file: file('bad', text), context, environment: {} })).rejects.toBeInstanceOf(UsageError);
});

it('a new context is added and becomes the current one; what was there stays, comments too', async () => {
  const path = file('config', ONE);
  writeContext(path, { name: 'corral', server: 'https://new', token: 't', namespace: 'default', certificateAuthority: 'PEM' });
  writeContext(path, { name: 'corral', server: 'https://newer', token: 't2', namespace: 'default', certificateAuthority: undefined });
  const text = readFileSync(path, 'utf8');
  expect(text).toContain('# the office');
  expect(text.match(/name: corral/g)).toHaveLength(3);
  expect(statSync(path).mode & 0o077).toBe(0);
  expect(await readTarget({ file: path, context: undefined, environment: {} })).toMatchObject({ server: 'https://newer', token: 't2', certificateAuthority: undefined });
  expect(await readTarget({ file: path, context: 'office', environment: {} })).toMatchObject({ token: 'anns' });
});

it('the first context makes the file and its folder', async () => {
  const path = join(folder, 'new', 'config');
  writeContext(path, { name: 'corral', server: 'https://new', token: 't', namespace: 'team-b', certificateAuthority: undefined });
  expect(await readTarget({ file: path, context: undefined, environment: {} })).toMatchObject({ server: 'https://new', namespace: 'team-b' });
});
