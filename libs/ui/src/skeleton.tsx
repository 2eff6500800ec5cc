import type { ReactElement } from 'react';
import { classNames } from './class-names.ts';

/** The place of something that is on its way. Shows itself only after 200 ms, so what is fast never flickers. */
export function Skeleton({ className }: { readonly className?: string }): ReactElement {
  return (
    <span
      aria-hidden
      className={classNames('block animate-[appear_200ms_200ms_both] rounded-tag bg-hover', className)}
    />
  );
}
