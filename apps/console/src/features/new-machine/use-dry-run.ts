import { useEffect, useState } from 'react';
import { asRefusal } from '../../api/refusal.ts';
import { create, MACHINES } from '../../api/resources.ts';
import { mapRefusal, type FieldProblems } from '../../api/validation.ts';
import { DRAFT_PATHS, objectOf, type Draft, type DraftField } from './draft.ts';

export type Verdict =
  | { readonly state: 'Checking' }
  | { readonly state: 'Valid' }
  | { readonly state: 'Invalid'; readonly problems: FieldProblems<DraftField> };

const TYPING_MS = 200;

/** What the server would say to this draft: its own dry run, so that no rule is kept twice. */
export function useDryRun(draft: Draft): Verdict {
  const [verdict, setVerdict] = useState<{ readonly of: string; readonly verdict: Verdict }>();
  const key = JSON.stringify(draft);
  useEffect(() => {
    let current = true;
    const timer = setTimeout(() => {
      create(MACHINES, objectOf(JSON.parse(key) as Draft), { dryRun: true }).then(
        () => current && setVerdict({ of: key, verdict: { state: 'Valid' } }),
        (error: unknown) =>
          current &&
          setVerdict({ of: key, verdict: { state: 'Invalid', problems: mapRefusal(asRefusal(error), DRAFT_PATHS) } }),
      );
    }, TYPING_MS);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [key]);
  if (verdict === undefined) return { state: 'Checking' };
  // While a newer draft is being checked, what was wrong stays in view: messages must not blink at every key.
  return verdict.of === key || verdict.verdict.state === 'Invalid' ? verdict.verdict : { state: 'Checking' };
}
