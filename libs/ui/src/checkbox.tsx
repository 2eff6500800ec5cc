import { useEffect, useRef, type InputHTMLAttributes, type ReactElement } from 'react';
import { classNames } from './class-names.ts';

const TICK = "before:absolute before:inset-0 before:content-[''] before:bg-canvas";

/** A native checkbox in our look; `mixed` is the state between. */
export function Checkbox({
  mixed = false,
  className,
  ...rest
}: InputHTMLAttributes<HTMLInputElement> & { readonly mixed?: boolean }): ReactElement {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (input.current) input.current.indeterminate = mixed;
  }, [mixed]);
  return (
    <input
      ref={input}
      type="checkbox"
      className={classNames(
        'relative block size-4 shrink-0 cursor-pointer appearance-none rounded-[4px] border border-edge bg-transparent checked:border-accent checked:bg-accent indeterminate:border-accent indeterminate:bg-accent',
        TICK,
        'before:opacity-0 checked:before:opacity-100 indeterminate:before:opacity-100',
        mixed
          ? 'before:[clip-path:inset(6px_3px)]'
          : 'before:[clip-path:polygon(12%_52%,24%_40%,42%_57%,76%_22%,88%_34%,42%_80%)]',
        className,
      )}
      {...rest}
    />
  );
}
