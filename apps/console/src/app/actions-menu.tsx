import { IconButton } from '@corral/ui';
import { Ellipsis } from 'lucide-react';
import { lazy, Suspense, useRef, useState, type ReactElement } from 'react';
import type { MenuAction } from './menu-popup.tsx';

const MenuPopup = lazy(async () => ({ default: (await import('./menu-popup.tsx')).MenuPopup }));

/** The "…" of a row or page: a plain button until it is first opened, when the menu arrives. */
export function ActionsMenu({
  label,
  actions,
  className,
}: {
  readonly label: string;
  readonly actions: () => readonly MenuAction[];
  readonly className?: string;
}): ReactElement {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  return (
    <>
      <IconButton
        ref={button}
        label={label}
        aria-haspopup="menu"
        aria-expanded={open}
        {...(className === undefined ? {} : { className })}
        onPointerEnter={() => void import('./menu-popup.tsx')}
        onClick={(event) => {
          event.stopPropagation();
          setOpen(true);
        }}
      >
        <Ellipsis aria-hidden size={16} />
      </IconButton>
      {open && (
        <Suspense>
          <MenuPopup anchor={button} actions={actions()} onClose={() => setOpen(false)} />
        </Suspense>
      )}
    </>
  );
}
