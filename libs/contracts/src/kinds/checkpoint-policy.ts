import { z } from 'zod';
import type { FieldProblem } from '../problems.ts';

/** On snapshots that a policy asked for; their users did not, and need not remove them. */
export const CHECKPOINT_LABEL = 'corral.dev/checkpoint';

/** More often than this a machine would do little else than be copied. */
export const MIN_CHECKPOINT_SECONDS = 10;
const DAY_SECONDS = 24 * 3600;
export const MAX_CHECKPOINTS = 100;

export const CheckpointPolicy = z
  .strictObject({
    everySeconds: z
      .number()
      .int()
      .min(MIN_CHECKPOINT_SECONDS)
      .max(30 * DAY_SECONDS)
      .optional()
      .describe(`Take one so many seconds after the one before, at least ${MIN_CHECKPOINT_SECONDS}; none while the machine rests and its last one still holds.`),
    onIdle: z.boolean().optional().describe('Take one whenever the machine has come to rest after it was used.'),
    keepLast: z.number().int().min(1).max(MAX_CHECKPOINTS).default(5).describe(`How many to keep, from 1 to ${MAX_CHECKPOINTS}; older ones are deleted.`),
    keepForSeconds: z
      .number()
      .int()
      .min(60)
      .max(365 * DAY_SECONDS)
      .optional()
      .describe('Delete those older than this. The one that the machine would be restarted from stays, whatever its age.'),
  })
  .describe('When checkpoints are taken: snapshots the machine is restarted from when its node is lost. At least one of everySeconds and onIdle must be set.');
export type CheckpointPolicy = z.output<typeof CheckpointPolicy>;

/** What is wrong with a policy beyond its fields. */
export function checkpointPolicyProblems(policy: CheckpointPolicy | undefined, field: string): FieldProblem[] {
  if (!policy || policy.everySeconds !== undefined || policy.onIdle) return [];
  return [{ field, reason: 'FieldValueInvalid', message: 'everySeconds or onIdle must say when; to take none, leave the policy out' }];
}
