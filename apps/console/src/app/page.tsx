import type { ReactElement, ReactNode } from 'react';
import { useEffect } from 'react';
import { en } from '../messages/en.ts';
import { usePhone } from './media.ts';
import { CompactNamespaceSwitcher } from './shell.tsx';

/** The frame of a page: its title and one primary action, then what it shows. The content scrolls; the frame stays. */
export function Page({
  title,
  actions,
  failed = 0,
  children,
}: {
  readonly title: string;
  readonly actions?: ReactNode;
  readonly failed?: number;
  readonly children: ReactNode;
}): ReactElement {
  const phone = usePhone();
  useEffect(() => {
    document.title = en.pageTitle(title, failed);
  }, [title, failed]);
  return (
    <main id="content" tabIndex={-1} className="flex min-h-0 flex-1 flex-col outline-none">
      <div className="flex min-h-[51px] shrink-0 items-center gap-3 border-b border-line px-5 py-2 max-phone:border-0 max-phone:px-4 max-phone:pt-4">
        <h1 className="text-15 max-phone:text-22">{title}</h1>
        <div className="flex-1" />
        {phone && <CompactNamespaceSwitcher />}
        {actions}
      </div>
      {children}
    </main>
  );
}

/** Nothing here yet: one sentence, the action, the command. */
export function EmptyState({
  icon,
  title,
  hint,
  children,
}: {
  readonly icon: ReactNode;
  readonly title: string;
  readonly hint: string;
  readonly children?: ReactNode;
}): ReactElement {
  return (
    <div className="mx-auto flex max-w-lg flex-col items-center gap-2 px-6 py-16 text-center">
      <div
        aria-hidden
        className="mb-2 grid size-14 place-items-center rounded-dialog border border-line2 bg-panel text-ink2"
      >
        {icon}
      </div>
      <h2 className="text-17">{title}</h2>
      <p className="text-ink2">{hint}</p>
      {children}
    </div>
  );
}
