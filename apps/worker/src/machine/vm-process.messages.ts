import { VmMemoryStatus, type VmProcessOutput, VmTermination } from '@corral/contracts';
import { LATENCY_BUCKETS_US, PAGE_ORIGINS } from '@corral/memory';
import { z } from 'zod';

const text = z.string().max(64 * 1024);
const SnapshotFile = z.object({
  // One plain name: what a VM process names is read from the node's disk and uploaded.
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]*$/)
    .max(100),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  sizeBytes: z.number().int().nonnegative(),
});
const SnapshotTaken = z.object({
  pauseMs: z.number().nonnegative(),
  files: z.array(SnapshotFile).min(1).max(100),
  manifest: SnapshotFile,
});
const FrozenTaken = z.object({
  pauseMs: z.number().nonnegative(),
  pages: z.number().int().nonnegative(),
  base: z.string().regex(/^[0-9a-f]{64}$/).optional(),
});
const PageWaits = z.partialRecord(
  z.enum(PAGE_ORIGINS),
  z.object({ counts: z.array(z.number().nonnegative()).length(LATENCY_BUCKETS_US.length + 1), microseconds: z.number().nonnegative() }),
);
const failures = [
  'SnapshotCorrupt',
  'SnapshotIncompatible',
  'SnapshotUnreadable',
  'DiskFull',
  'ImageUnbootable',
  'EmulatorFailed',
  'NotStarted',
  'Busy',
  'Internal',
] as const;

const Message = z.union([
  z.object({
    type: z.literal('Reply'),
    requestId: z.number().int(),
    ok: z.literal(true),
    snapshot: SnapshotTaken.optional(),
    frozen: FrozenTaken.optional(),
  }),
  z.object({
    type: z.literal('Reply'),
    requestId: z.number().int(),
    ok: z.literal(false),
    reason: z.enum(failures),
    message: text,
  }),
  z.object({ type: z.enum(['Waiting', 'AgentAnswered', 'AgentSilent', 'GuestRebooted', 'Active']) }),
  z.object({ type: z.literal('Idle'), forMs: z.number().nonnegative() }),
  z.object({ type: z.literal('GuestPanicked'), message: text }),
  z.object({ type: z.literal('Memory'), memory: VmMemoryStatus, pageWaits: PageWaits.optional() }),
  z.object({ type: z.literal('Ended'), reason: VmTermination.shape.reason, message: text }),
]);

/** A message of a VM process; undefined when it is none. The process runs a hostile guest: what it says is read like anything from outside. */
export function parseMessage(message: unknown): VmProcessOutput | undefined {
  const parsed = Message.safeParse(message);
  return parsed.success ? (parsed.data as VmProcessOutput) : undefined;
}
