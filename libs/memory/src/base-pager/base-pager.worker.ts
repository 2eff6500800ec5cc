import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { BASE_LOST_EXIT_CODE } from '@corral/contracts/for-vm-process';
import { loadLibc } from '../host/libc.ts';
import { MappingFailed } from '../host/mapping-failed.ts';
import { UserFault } from '../host/userfault.ts';
import { loadPagerCalls, POLLIN } from '../pager/pager-calls.ts';
import { PollSet, type Pollable } from '../pager/poll-set.ts';
import { BaseConnection, BaseLost } from './base-connection.ts';
import { BaseFaults } from './base-faults.ts';
import { counterAt, type BasePagerCounter, type BasePagerData, type BasePagerMessage } from './base-pager.protocol.ts';

/**
 * The thread that answers for pages of a base that are not there yet. While it does, the machine's own thread stands still, and with it the event
 * loop: nothing here is asynchronous, and whatever goes wrong ends the process at once.
 */
const QUIT_LOOK_MS = 50;
const BEAT_EVERY_MS = 1_000;

const data = workerData as BasePagerData;
const calls = loadPagerCalls();
const control = new Int32Array(data.control);
const count = (name: BasePagerCounter, by = 1): number => Atomics.add(control, counterAt(name), by);
let beatMs = -Infinity;

try {
  run();
} catch (error) {
  writeSync(2, `base pager: ${error instanceof Error ? error.stack : String(error)}\n`);
  calls.exitNow(error instanceof BaseLost ? BASE_LOST_EXIT_CODE : 1);
}

function run(): void {
  const libc = loadLibc();
  let connection: BaseConnection;
  try {
    connection = new BaseConnection({ libc, calls, path: data.socketPath, deadlineMs: data.silenceDeadlineMs, alive: beat });
  } catch (error) {
    // Nothing is registered yet: the machine need not die of it.
    if (error instanceof BaseLost || error instanceof MappingFailed) return;
    throw error;
  }
  // A descriptor of its own: whoever closes the other one does not make the kernel show zeros in place of pages that are missing.
  const fd = calls.dup(data.userFaultFd);
  if (fd < 0) throw new Error(`dup failed with errno ${calls.errno()}`);
  const userFault = UserFault.attach(libc, fd, 0);
  const faults = new BaseFaults({ userFault, ranges: data.ranges, connection, count });
  const polled = new PollSet(libc, 2);
  const waiting: Pollable = { fd, events: POLLIN };
  let isTold = false;
  tell({ type: 'Ready', held: connection.held });
  while (Atomics.load(control, counterAt('quit')) === 0) {
    beat();
    if (connection.isWhole && !isTold) {
      isTold = true;
      tell({ type: 'Whole' });
    }
    polled.set(connection.isWhole ? [waiting] : [waiting, connection]);
    polled.poll(QUIT_LOOK_MS);
    if (!connection.isWhole && polled.happened(connection) !== 0) connection.serve();
    if (polled.happened(waiting) !== 0) for (const fault of userFault.readFaults()) faults.resolve(fault);
  }
  connection.close();
  userFault.close();
  polled.free();
}

function tell(message: BasePagerMessage): void {
  parentPort?.postMessage(message);
}

/** Whoever watches the process sees that the second number goes on, also while its own thread waits for a page. */
function beat(): void {
  const nowMs = performance.now();
  if (data.heartbeatFd === undefined || nowMs - beatMs < BEAT_EVERY_MS) return;
  beatMs = nowMs;
  try {
    writeSync(data.heartbeatFd, `${process.pid} ${Math.round(nowMs)}\n`, 0);
  } catch {
    // The disk is full: a machine that nobody can watch is better than none.
  }
}
