import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { findNpm, findProcess, isAlive } from './process-table.ts';

describe('the process table', () => {
  it('knows this process and its parent', () => {
    expect(findProcess(process.pid)).toMatchObject({ pid: process.pid, parent: process.ppid });
  });

  it('tells when a process is gone', async () => {
    const child = spawn('sleep', ['60']);
    const entry = findProcess(child.pid ?? 0);
    expect(entry && isAlive(entry)).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(entry && isAlive(entry)).toBe(false);
  });

  it('looks past the shell that npm puts in between', async () => {
    const shell = spawn('sh', ['-c', 'read line; true']);
    await once(shell, 'spawn');
    expect(findNpm(shell.pid)?.pid).toBe(process.pid);
    expect(findNpm(process.pid)?.pid).toBe(process.pid);
    shell.kill('SIGKILL');
  });
});
