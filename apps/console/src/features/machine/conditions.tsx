import type { Condition } from '@corral/contracts';
import { StatusGlyph } from '@corral/ui';
import type { ReactElement } from 'react';
import { Age } from '../../app/age.tsx';
import { en } from '../../messages/en.ts';
import { conditionLook, RESTING } from './condition-look.ts';
import { Section } from './section.tsx';

/** The truth about a machine, the worst first. */
export function Conditions({
  conditions,
  restsByWish,
}: {
  readonly conditions: readonly Condition[];
  readonly restsByWish: boolean;
}): ReactElement {
  // A machine that was asked to rest is not expected to answer.
  const look = (condition: Condition) =>
    restsByWish && condition.type === 'Ready' && condition.status === 'False' ? RESTING : conditionLook(condition);
  const sorted = [...conditions].sort((a, b) => look(a).rank - look(b).rank || (a.type < b.type ? -1 : 1));
  return (
    <Section title={en.machine.conditions}>
      {sorted.length === 0 && <p className="text-ink2">{en.machine.noConditions}</p>}
      <ul className="flex flex-col gap-2">
        {sorted.map((condition) => {
          const { shape, tone } = look(condition);
          return (
            <li key={condition.type} className="flex items-baseline gap-2.5">
              <span className="translate-y-0.5">
                {shape === 'Check' ? <CheckGlyph /> : <StatusGlyph shape={shape} tone={tone} />}
              </span>
              <span className="min-w-0 flex-1 break-words" title={condition.message}>
                <span className="font-medium">{condition.type}</span>{' '}
                <span className="text-ink2">{condition.reason}</span>
                {shape !== 'Check' && condition.message !== '' && (
                  <span className="block text-12 text-ink2">{condition.message}</span>
                )}
              </span>
              <Age isBare at={condition.lastTransitionTime} className="shrink-0 text-12 text-ink3" />
            </li>
          );
        })}
      </ul>
    </Section>
  );
}

function CheckGlyph(): ReactElement {
  return (
    <svg aria-hidden viewBox="0 0 12 12" width={12} height={12} className="text-good">
      <path
        d="m2 6.5 2.8 2.8L10.2 3"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.75"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </svg>
  );
}
