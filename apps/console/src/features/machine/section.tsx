import type { ReactElement, ReactNode } from 'react';

/** One part of a machine's story. */
export function Section({
  title,
  aside,
  children,
}: {
  readonly title: string;
  readonly aside?: ReactNode;
  readonly children: ReactNode;
}): ReactElement {
  return (
    <section className="flex flex-col gap-2.5 p-4">
      <div className="flex items-center justify-between gap-2">
        <h2 className="text-13">{title}</h2>
        {aside}
      </div>
      {children}
    </section>
  );
}
