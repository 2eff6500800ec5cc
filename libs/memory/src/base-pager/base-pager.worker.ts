import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { EEXIST, loadLibc } from '../host/libc.ts';
import { UserFault, type PageFault } from '../host/userfault.ts';
import { PAGE_BYTES } from '../machine-pages.ts';
import { loadPagerCalls, POLLIN } from '../pager/pager-calls.ts';
import { PollSet, type Pollable } from '../pager/poll-set.ts';
import { BaseConnection, BaseLost } from './base-connection.ts';
import { BASE_LOST_EXIT_CODE, counterAt, type BasePagerCounter, type BasePagerData } from './base-pager.protocol.ts';

/**
 * The thread that answers for pages of a base that are not there yet. While it does, the machine's own thread stands still, and with it the event
 * loop: nothing here is asynchronous, and whatever goes wrong ends the process at once.
 */
const QUIT_LOOK_MS = 50;

const data = workerData as BasePagerData;
const calls = loadPagerCalls();
const control = new Int32Array(data.control);
const count = (name: BasePagerCounter, by = 1): number => Atomics.add(control, counterAt(name), by);

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
    connection = new BaseConnection(libc, calls, data.socketPath);
  } catch (error) {
    // Nothing is registered yet: the machine need not die of it.
    if (error instanceof BaseLost || (error instanceof Error && error.name === 'MappingFailed')) return;
    throw error;
  }
  const userFault = UserFault.attach(libc, data.userFaultFd, 0);
  const polled = new PollSet(libc, 2);
  const faults: Pollable = { fd: data.userFaultFd, events: POLLIN };
  let isTold = false;
  parentPort?.postMessage('ready');
  while (Atomics.load(control, counterAt('quit')) === 0) {
    if (connection.isWhole && !isTold) {
      isTold = true;
      parentPort?.postMessage('whole');
    }
    polled.set(connection.isWhole ? [faults] : [faults, connection]);
    polled.poll(QUIT_LOOK_MS);
    if (!connection.isWhole && polled.happened(connection) !== 0) connection.serve();
    if (polled.happened(faults) !== 0) for (const fault of userFault.readFaults()) resolve(userFault, connection, fault);
  }
  connection.close();
  polled.free();
}

function resolve(userFault: UserFault, connection: BaseConnection, { address }: PageFault): void {
  const range = data.ranges.find((each) => address >= each.address && address < each.address + each.pages * PAGE_BYTES);
  if (!range) throw new Error('a fault where the machine has no page');
  const position = Math.floor((address - range.address) / PAGE_BYTES);
  const start = range.address + position * PAGE_BYTES;
  const page = range.firstPage + position;
  if (!connection.has(page)) return zero(userFault, start);
  const beganMs = performance.now();
  connection.fetch(page);
  count('waitedPages');
  count('waitedMicroseconds', (performance.now() - beganMs) * 1_000);
  // Now that the base has it the kernel finds it by itself.
  userFault.wake(start, PAGE_BYTES);
}

function zero(userFault: UserFault, start: number): void {
  count('zeroPages');
  if (userFault.zeroPage(start, PAGE_BYTES) === PAGE_BYTES) return;
  // A page that is protected without being there refuses the host's page of zeros.
  userFault.unprotect(start, PAGE_BYTES);
  const placed = userFault.zeroPage(start, PAGE_BYTES);
  if (placed === PAGE_BYTES) return;
  if (placed !== -EEXIST) throw new Error(`a page could not be made zero: ${placed}`);
  userFault.wake(start, PAGE_BYTES);
}
