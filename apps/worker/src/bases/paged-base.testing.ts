import { hash } from 'node:crypto';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SnapshotBase } from '@corral/contracts';
import { BasePager, GuestRam, HostMemory, MemoryBlock, PAGE_BYTES, SealedMemory } from '@corral/memory';

/**
 * For tests: a program whose memory lies on a base that is still being filled, as a machine's does. Told what to do by IPC; a process of its
 * own, since what goes wrong ends the process, and whoever waits for a page does nothing else.
 */
export type PagedOrder =
  | { readonly type: 'Begin'; readonly base: SnapshotBase; readonly silenceDeadlineMs?: number; readonly isDiskFull?: boolean }
  /** SHA-256 of a page. */
  | { readonly type: 'Read'; readonly page: number }
  | { readonly type: 'Write'; readonly page: number; readonly value: number }
  /** Puts a page of one byte value in place, as what lies over a base is restored. */
  | { readonly type: 'Put'; readonly page: number; readonly value: number }
  | { readonly type: 'GiveBack'; readonly firstPage: number; readonly pages: number }
  | { readonly type: 'ShareAgain' }
  /** Maps the base without anybody who answers, and reads a page. SHA-256 of it. */
  | { readonly type: 'Look'; readonly base: SnapshotBase; readonly page: number }
  /** Has the kernel read a page, as a system call does that is handed a view of the memory. */
  | { readonly type: 'HandToKernel'; readonly page: number }
  /** SHA-256 of a page as snapshots copy it. */
  | { readonly type: 'Copy'; readonly page: number }
  /** Closes the userfaultfd that the memory is registered with. */
  | { readonly type: 'CloseUserFault' }
  /** Lets go of the pager, once every page is there. */
  | { readonly type: 'End' }
  /** SHA-256 of everything, and which pages were written to. */
  | { readonly type: 'Verify' };
export interface PagedAnswer {
  readonly digest?: string;
  readonly written?: readonly number[];
  readonly waitedPages?: number;
  readonly refused?: string;
}

const probed = HostMemory.probe();
let block: MemoryBlock;
let ram: GuestRam;
let pager: BasePager;
let written: ReturnType<GuestRam['follow']>;

async function obey(order: PagedOrder): Promise<PagedAnswer> {
  const view = (page: number): Uint8Array => new Uint8Array(block.buffer, page * PAGE_BYTES, PAGE_BYTES);
  switch (order.type) {
    case 'Begin': {
      const { ram: place, requestsPath } = order.base;
      if (place.type !== 'Sealed' || requestsPath === undefined) throw new Error('the base is whole, or a file');
      if (!probed.memory) throw new Error(probed.capability.reason);
      block = MemoryBlock.anonymous(probed.memory.libc, place.sizeBytes);
      ram = new GuestRam(() => [new Uint8Array(block.buffer)], probed);
      const fd = SealedMemory.open(place);
      ram.mapBase(fd, place.sizeBytes / PAGE_BYTES);
      closeSync(fd);
      ram.track();
      const { silenceDeadlineMs, isDiskFull } = order;
      const heartbeat = isDiskFull ? { heartbeatFd: openSync('/dev/full', 'w') } : {};
      pager = await BasePager.start({ ram, socketPath: requestsPath, ...heartbeat, ...(silenceDeadlineMs === undefined ? {} : { silenceDeadlineMs }) });
      written = ram.follow();
      return {};
    }
    case 'Read':
      // Copied first: no system call may touch a page that is not there.
      return { digest: hash('sha256', view(order.page).slice()), waitedPages: pager.count('waitedPages') };
    case 'Write':
      view(order.page)[7] = order.value;
      return {};
    case 'Put':
      ram.put(order.page, new Uint8Array(PAGE_BYTES).fill(order.value));
      return { waitedPages: pager.count('waitedPages') };
    case 'GiveBack':
      ram.giveBack({ start: order.firstPage, count: order.pages });
      return {};
    case 'ShareAgain':
      ram.shareAgain();
      return {};
    case 'Look': {
      if (order.base.ram.type !== 'Sealed' || !probed.memory) throw new Error('the base is a file');
      const fd = SealedMemory.open(order.base.ram);
      const mapped = MemoryBlock.readOnly(probed.memory.libc, order.base.ram.sizeBytes, fd);
      return { digest: hash('sha256', new Uint8Array(mapped.buffer, order.page * PAGE_BYTES, PAGE_BYTES).slice()) };
    }
    case 'HandToKernel': {
      const fd = openSync(join(tmpdir(), `corral-efault-${process.pid}`), 'w');
      try {
        writeSync(fd, view(order.page));
        return {};
      } catch (error) {
        return { refused: (error as NodeJS.ErrnoException).code ?? '' };
      } finally {
        closeSync(fd);
        rmSync(join(tmpdir(), `corral-efault-${process.pid}`));
      }
    }
    case 'Copy': {
      const copy = new Uint8Array(PAGE_BYTES);
      ram.copyRun({ start: order.page, count: 1 }, copy);
      return { digest: hash('sha256', copy) };
    }
    case 'CloseUserFault':
      ram.userFault?.close();
      return {};
    case 'End':
      await pager.whole;
      ram.endPaging();
      await pager.stop();
      return { waitedPages: pager.count('waitedPages') };
    case 'Verify':
      ram.harvest();
      return { digest: hash('sha256', new Uint8Array(block.buffer).slice()), written: [...written.pages] };
  }
}

if (process.send) {
  process.on('message', (order: PagedOrder) => {
    void obey(order).then((answer) => process.send?.(answer));
  });
  process.on('disconnect', () => process.exit(0));
  process.send('ready');
}
