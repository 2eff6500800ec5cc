import { call, deleteVm, exec, runningVm, VMS } from '../api.ts';

describe('E5: run a command, get its output', () => {
  let vm: string;
  beforeAll(async () => (vm = await runningVm()));
  afterAll(() => deleteVm(vm));

  it('answers with exit code, stdout and stderr apart', async () => {
    const result = await exec(vm, 'echo out; echo err >&2; exit 7');
    expect(result).toMatchObject({ exitCode: 7, stdout: 'out\n', stderr: 'err\n', timedOut: false });
  });

  it('hands over stdin, environment and working directory', async () => {
    const result = await exec(vm, 'cat; echo "$GREETING from $(pwd)"', { stdin: 'first\n', env: { GREETING: 'hello' }, cwd: '/tmp' });
    expect(result.stdout).toBe('first\nhello from /tmp\n');
  });

  it('ends a command at its timeout and says so', async () => {
    const result = await exec(vm, ['sleep', '60'], { timeoutSeconds: 1 });
    expect(result.timedOut).toBe(true);
  });

  it('twenty commands at once each get their own answer', async () => {
    const results = await Promise.all(Array.from({ length: 20 }, (_, index) => exec(vm, `echo ${index}; exit ${index}`)));
    results.forEach((result, index) => expect(result).toMatchObject({ exitCode: index, stdout: `${index}\n` }));
  });

  it('keeps the answer bounded when a command floods', async () => {
    const result = await exec(vm, 'dd if=/dev/zero bs=100k count=50 | tr "\\0" y');
    expect(result).toMatchObject({ exitCode: 0, stdoutTruncated: true });
    expect(result.stdout.length).toBeLessThanOrEqual(1024 * 1024);
  });

  it('refuses an empty command by naming the field', async () => {
    const answer = await call('POST', `${VMS}/${vm}/exec`, { command: [], timeoutSeconds: -1 });
    expect(answer.status).toBe(422);
    expect(answer.body.details.causes.map(({ field }: { field: string }) => field).sort()).toEqual(['command', 'timeoutSeconds']);
  });
});
