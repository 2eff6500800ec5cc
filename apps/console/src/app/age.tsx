import { formatAge } from '@corral/ui';
import type { ReactElement } from 'react';
import { useNow } from '../live/now.ts';
import { en } from '../messages/en.ts';

/** How long ago something was, by the server's clock; when exactly, for who points at it. */
export function Age({ at, isBare = false, className }: {
  readonly at: string;
  /** Only how long: where a column or its neighbours say what of. */
  readonly isBare?: boolean;
  readonly className?: string;
}): ReactElement {
  const age = formatAge(at, useNow());
  return (
    <time dateTime={at} title={en.moment(at)} className={className}>
      {isBare ? age : en.ago(age)}
    </time>
  );
}
