import type { V86Cpu, VirtQueue, VirtQueueClass } from './v86.internals.ts';

/** Source: virtio 1.2, 5.5.3: VIRTIO_BALLOON_F_REPORTING, and the queue that comes with it. */
const REPORTING = 1 << 5;
const REPORTING_QUEUE_SIZE = 64;
/** Upstream's handler for free pages that were asked for does for these as well: it zeroes what it is given. */
const FREE_PAGES_NOTIFICATION = 2;

/** A run of guest RAM the guest has no use for; whole pages, by number. */
export interface FreePages {
  readonly start: number;
  readonly count: number;
}

const PAGE_BYTES = 4096;

/**
 * Lets the guest tell by itself which of its pages are free (free page reporting, Linux 5.7): upstream's balloon knows free pages
 * only when they are asked for. Call before the machine is restored or runs. What is told is never longer a part of the
 * guest's state: it may be given to the host, and may be zero or as it was when the guest takes it again.
 */
export function reportFreePages(cpu: V86Cpu, onFree: (pages: FreePages) => void): void {
  const { virtio } = cpu.devices.virtio_balloon ?? {};
  const first: VirtQueue | undefined = virtio?.queues[0];
  const Queue = first?.constructor as VirtQueueClass | undefined;
  if (!virtio || !Queue) return;
  virtio.queues.push(new Queue(cpu, virtio, { size_supported: REPORTING_QUEUE_SIZE, notify_offset: FREE_PAGES_NOTIFICATION }));
  virtio.device_feature[0] = (virtio.device_feature[0] ?? 0) | REPORTING;
  // A driver that resets the device begins with every feature, as upstream's constructor does.
  virtio.driver_feature[0] = (virtio.driver_feature[0] ?? 0) | REPORTING;
  cpu.zero_memory = (address, byteLength) => {
    const memoryBytes = cpu.memory_size[0] ?? 0;
    const [start, end] = [Math.ceil(address / PAGE_BYTES), Math.floor(Math.min(address + byteLength, memoryBytes) / PAGE_BYTES)];
    // A guest may name anything.
    if (address < 0 || start >= end) return;
    cpu.jit_dirty_cache(start * PAGE_BYTES, end * PAGE_BYTES);
    onFree({ start, count: end - start });
  };
}
