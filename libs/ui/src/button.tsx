import type { ButtonHTMLAttributes, ReactElement, ReactNode, Ref } from 'react';
import { classNames } from './class-names.ts';

const LOOKS = {
  /** One per page. Colour stays free for state. */
  Primary: 'bg-primary text-on-primary hover:opacity-90 border border-transparent',
  Plain: 'bg-raised text-ink border border-line2 hover:bg-hover',
  Quiet: 'text-ink2 hover:text-ink hover:bg-hover border border-transparent',
  Danger: 'bg-raised text-bad border border-line2 hover:bg-hover',
} as const;

const SIZES = {
  Normal: 'h-8 px-3 gap-2',
  Small: 'h-7 px-2 gap-1.5 text-12',
  Touch: 'h-11 px-4 gap-2 text-15',
} as const;

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  readonly look?: keyof typeof LOOKS;
  readonly size?: keyof typeof SIZES;
  readonly icon?: ReactNode;
  readonly ref?: Ref<HTMLButtonElement>;
}

export const buttonClass = (look: keyof typeof LOOKS = 'Plain', size: keyof typeof SIZES = 'Normal'): string =>
  classNames(
    'inline-flex shrink-0 items-center justify-center rounded-control font-medium whitespace-nowrap transition-[background-color,opacity] duration-80 select-none',
    'disabled:opacity-50 aria-disabled:opacity-50',
    LOOKS[look],
    SIZES[size],
  );

export function Button({ look, size, icon, children, className, type = 'button', ...rest }: ButtonProps): ReactElement {
  return (
    <button type={type} className={classNames(buttonClass(look, size), className)} {...rest}>
      {icon}
      {children}
    </button>
  );
}

/** A button that is only an icon: it must have a name. */
export function IconButton({
  label,
  children,
  className,
  type = 'button',
  ...rest
}: ButtonHTMLAttributes<HTMLButtonElement> & {
  readonly label: string;
  readonly ref?: Ref<HTMLButtonElement>;
}): ReactElement {
  return (
    <button
      type={type}
      aria-label={label}
      title={label}
      className={classNames(
        'inline-flex size-7 shrink-0 items-center justify-center rounded-control text-ink2 transition-colors duration-80 hover:bg-hover hover:text-ink disabled:opacity-50 aria-pressed:bg-hover aria-pressed:text-ink',
        className,
      )}
      {...rest}
    >
      {children}
    </button>
  );
}

export function Kbd({ children }: { readonly children: ReactNode }): ReactElement {
  return (
    <kbd
      aria-hidden
      className="inline-flex h-[18px] min-w-[18px] items-center justify-center rounded-tag border border-current/25 px-1 font-mono text-11 font-normal opacity-75"
    >
      {children}
    </kbd>
  );
}
