import { useId, type ReactElement, type ReactNode } from 'react';

interface FormFieldProps {
  readonly label: string;
  readonly problems: readonly string[] | undefined;
  readonly hint?: string | undefined;
  readonly aside?: ReactNode;
  readonly children: (control: {
    readonly id: string;
    readonly 'aria-invalid': boolean;
    readonly 'aria-describedby': string;
  }) => ReactNode;
}

/** A labelled control with what is wrong about it right below. */
export function FormField({ label, problems = [], hint, aside, children }: FormFieldProps): ReactElement {
  const id = useId();
  return (
    <div className="flex min-w-0 flex-col gap-1.5">
      <div className="flex items-baseline justify-between gap-2">
        <label htmlFor={id} className="text-ink2">
          {label}
        </label>
        {aside}
      </div>
      {children({ id, 'aria-invalid': problems.length > 0, 'aria-describedby': `${id}-note` })}
      <div id={`${id}-note`} className="text-12">
        {problems.length > 0
          ? problems.map((problem) => (
              <p key={problem} className="text-bad first-letter:uppercase">
                {problem}
              </p>
            ))
          : hint && <p className="text-ink3">{hint}</p>}
      </div>
    </div>
  );
}

export const CONTROL =
  'h-9 w-full min-w-0 rounded-control border border-edge bg-canvas px-3 text-ink aria-invalid:border-bad max-phone:h-11 max-phone:text-[16px]';
