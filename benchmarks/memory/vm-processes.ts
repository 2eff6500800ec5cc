import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const MIB = 2 ** 20;

/** A process in which a machine is emulated, or that waits for one. */
export interface VmProcess {
  readonly pid: number;
  /** It has a machine, and so the socket of one. */
  readonly isStarted: boolean;
  readonly privateMiB: number;
  /** Of the mappings that show a base or a layer: guest RAM this machine has written to. */
  readonly privateGuestMiB: number;
  readonly cpuMs: number;
}

/** Those below a launcher; other Corrals on this machine are none of ours. */
export function vmProcesses(launcherPid: number): VmProcess[] {
  const sockets = machineSockets();
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      try {
        const pid = Number(entry);
        if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('vm-process/main.js') || !descendsFrom(pid, launcherPid)) return [];
        return [{ pid, isStarted: descriptors(pid).some((target) => sockets.has(target)), ...memoryOf(pid), cpuMs: cpuMsOf(pid) }];
      } catch {
        // Gone meanwhile.
        return [];
      }
    });
}

/** Source: proc_pid_smaps(5). */
export function memoryOf(pid: number | 'self'): { readonly privateMiB: number; readonly privateGuestMiB: number } {
  let [all, guest] = [0, 0];
  let isGuest = false;
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const mapping = /^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+\s*(.*)$/.exec(line);
    if (mapping) isGuest = /memfd:corral|\/bases\//.test(mapping[1] ?? '');
    const field = /^Private_(Dirty|Clean):\s+(\d+) kB/.exec(line);
    if (!field) continue;
    const mib = (Number(field[2]) * 1024) / MIB;
    // A page of a base that only this machine has read is clean: another machine would share it.
    if (isGuest && field[1] === 'Clean') continue;
    all += mib;
    if (isGuest) guest += mib;
  }
  return { privateMiB: all, privateGuestMiB: guest };
}

/** Of all its threads, in nanoseconds where the host counts them. Source: proc_pid_schedstat in Documentation/scheduler/sched-stats.rst. */
function cpuMsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`)
    .map((task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]) / 1e6)
    .reduce((sum, each) => sum + each, 0);
}

/** As `readlink` of a descriptor says them. Source: unix(7), proc_net(5). */
function machineSockets(): Set<string> {
  const lines = readFileSync('/proc/net/unix', 'utf8').split('\n').filter((line) => /\/\d+\.sock$/.test(line));
  return new Set(lines.map((line) => `socket:[${line.split(/\s+/)[6]}]`));
}

function descriptors(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
}

function descendsFrom(pid: number, ancestor: number): boolean {
  for (let current = pid; current > 1; ) {
    if (current === ancestor) return true;
    current = Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${current}/status`, 'utf8'))?.[1] ?? 0);
  }
  return false;
}
