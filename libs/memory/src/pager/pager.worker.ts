import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { loadLibc } from '../host/libc.ts';
import { MemoryBlock } from '../host/memory-block.ts';
import { UserFault } from '../host/userfault.ts';
import { PAGE_BYTES } from '../machine-pages.ts';
import { DurableFile } from './durable.file.ts';
import { FaultResolver } from './fault-resolver.ts';
import { PageTable } from './page-table.ts';
import { loadPagerCalls, POLLIN } from './pager-calls.ts';
import { PagerControl } from './pager-control.ts';
import { PollSet, type Pollable } from './poll-set.ts';
import { READAHEAD_PAGES } from './readahead.ts';
import { StagingQueue } from './staging-queue.ts';
import { SwapLost, SwapTiers } from './swap-tiers.ts';
import type { PagerWorkerData } from './pager.protocol.ts';

/**
 * The thread that answers page faults. While it does, the machine's own thread may be standing still, and with it the
 * event loop, the thread pool and the console: so there is one loop around poll(2), and nothing here is asynchronous.
 * Whatever goes wrong ends the process at once: a machine whose pager is gone would hang for ever.
 */
const LOOK_EVERY_MS = 1_000;
const LOOK_SOON_MS = 100;

const data = workerData as PagerWorkerData;
const calls = loadPagerCalls();

try {
  run();
} catch (error) {
  const isLost = error instanceof SwapLost;
  writeSync(2, `pager: ${error instanceof Error ? error.stack : String(error)}\n`);
  if (isLost) calls.exitNow(data.lostExitCode);
  process.kill(process.pid, 'SIGKILL');
}

function run(): void {
  const libc = loadLibc();
  const now = (): number => performance.now();
  const table = new PageTable(data.pages, data.table);
  const control = new PagerControl(data.control);
  const scratch = MemoryBlock.anonymous(libc, READAHEAD_PAGES * PAGE_BYTES);
  const tiers = new SwapTiers({
    libc, calls, table, control, now,
    staging: new StagingQueue(data.stagingCapacity, data.staging),
    stagingAddress: data.stagingAddress,
    arenaAddress: data.arenaAddress,
    arenaBytes: data.arenaBytes,
    durable: DurableFile.of(data.durableFd),
    redis: data.redis,
    keyPrefix: data.keyPrefix,
  });
  // A descriptor of its own: whoever closes the other one does not make the kernel show zeros in place of pages that are out.
  const userFault = UserFault.attach(libc, calls.dup(data.userFaultFd), 0);
  const resolver = new FaultResolver({ userFault, start: data.start, table, tiers, control, scratch: scratch.address, now });
  const polled = new PollSet(libc, 4);
  const faults: Pollable = { fd: userFault.fd, events: POLLIN };
  const wakes: Pollable = { fd: data.wakeFd, events: POLLIN };
  const { connections } = tiers;
  let beatMs = -Infinity;
  parentPort?.postMessage('ready');
  while (control.get('quit') === 0) {
    const nowMs = now();
    if (nowMs - beatMs >= LOOK_EVERY_MS) {
      beatMs = nowMs;
      beat();
    }
    polled.set([faults, wakes, ...connections]);
    polled.poll(tiers.isBehind ? 0 : tiers.isWaiting ? LOOK_SOON_MS : LOOK_EVERY_MS);
    if (polled.happened(wakes) !== 0) libc.read(data.wakeFd, scratch.address, 8);
    if (polled.happened(faults) !== 0) for (const fault of userFault.readFaults()) resolver.resolve(fault);
    for (const connection of connections) connection.serve(polled.happened(connection), now());
    tiers.work();
  }
  tiers.dispose();
  calls.close(userFault.fd);
  polled.free();
  scratch.free();
}

/** Whoever watches the process sees that the second number goes on, also while its own thread waits for a page. */
function beat(): void {
  if (data.heartbeatFd === undefined) return;
  writeSync(data.heartbeatFd, `${process.pid} ${Math.round(performance.now())}\n`, 0);
}
