import type { Condition } from '@corral/contracts';
import type { StatusShape, StatusTone } from '@corral/ui';

/** Types for which True is the bad answer. */
const BAD_WHEN_TRUE = /Pressure$|^GuestPanicked$|^RestartedWithoutState$|^Failed$/;
/** Good either way, but for these reasons. */
const GOOD_BUT: Readonly<Record<string, string | undefined>> = { Hibernated: 'HibernationFailed', AtMaximum: '' };

export interface ConditionLook {
  readonly shape: StatusShape | 'Check';
  readonly tone: StatusTone;
  /** Worse comes first. */
  readonly rank: number;
}

/** Of a machine that is not expected to answer. */
export const RESTING: ConditionLook = { shape: 'Bars', tone: 'Off', rank: 2 };

export function conditionLook({ type, status, reason }: Pick<Condition, 'type' | 'status' | 'reason'>): ConditionLook {
  if (status === 'Unknown') return { shape: 'Dashed', tone: 'Unknown', rank: 1 };
  const badReason = GOOD_BUT[type];
  const bad = badReason !== undefined ? reason === badReason : BAD_WHEN_TRUE.test(type) ? status === 'True' : status === 'False';
  return bad ? { shape: 'Triangle', tone: 'Attention', rank: 0 } : { shape: 'Check', tone: 'Good', rank: 2 };
}
