import { z } from 'zod';

/** On a Namespace: `idlePolicy.hibernateAfterSeconds` of machines made in it that say nothing themselves. */
export const HIBERNATE_AFTER_ANNOTATION = 'corral.dev/hibernate-after-seconds';

/** Shorter than this nobody can tell a machine that rests from one that waits for its next command. */
export const MIN_HIBERNATE_AFTER_SECONDS = 10;
export const MAX_HIBERNATE_AFTER_SECONDS = 30 * 24 * 3600;

/** Seconds a machine rests before it hibernates; 0 for never. */
export const HibernateAfterSeconds = z
  .number()
  .int()
  .min(0)
  .max(MAX_HIBERNATE_AFTER_SECONDS)
  .refine((seconds) => seconds === 0 || seconds >= MIN_HIBERNATE_AFTER_SECONDS, `must be 0, for never, or at least ${MIN_HIBERNATE_AFTER_SECONDS}`);

export const IdlePolicy = z
  .strictObject({
    hibernateAfterSeconds: HibernateAfterSeconds.optional().describe(
      `Hibernate it after so long without commands, files, typing or work of the guest: at least ${MIN_HIBERNATE_AFTER_SECONDS}, or 0 for never. Defaults to the Namespace’s annotation ${HIBERNATE_AFTER_ANNOTATION}; without it, never.`,
    ),
  })
  .describe('What becomes of the machine when nobody uses it.');
export type IdlePolicy = z.output<typeof IdlePolicy>;

/** While it stands in a machine’s status the machine goes to sleep, sleeps, or wakes up. Removed once it runs again. */
export const VmHibernation = z.object({
  reason: z.enum(['Idle', 'Requested']),
  requestedAt: z.string(),
  /** The incarnation that sleeps; the one that wakes up is another. */
  incarnation: z.number().int(),
  /** When its memory was whole on the node’s disk and its process gone; absent while it falls asleep. */
  since: z.string().optional(),
  /** Somebody needs it: it wakes up. */
  wakeRequestedAt: z.string().optional(),
  /** The VirtualMachineSnapshot in which it outlives its node, and when that was whole. */
  snapshot: z.string().optional(),
  storedAt: z.string().optional(),
});
export type VmHibernation = z.output<typeof VmHibernation>;
