import { Menu } from '@base-ui/react/menu';
import type { LucideIcon } from 'lucide-react';
import type { ReactElement, RefObject } from 'react';

export interface MenuAction {
  readonly label: string;
  readonly icon?: LucideIcon;
  readonly onSelect: () => void;
  readonly danger?: boolean;
  readonly disabled?: boolean;
  /** Begins a new group. */
  readonly separated?: boolean;
}

/** A menu at an element that is not its trigger. Open while mounted. */
export function MenuPopup({
  anchor,
  actions,
  onClose,
}: {
  readonly anchor: RefObject<HTMLElement | null>;
  readonly actions: readonly MenuAction[];
  readonly onClose: () => void;
}): ReactElement {
  return (
    <Menu.Root open onOpenChange={(open) => !open && onClose()}>
      <Menu.Portal>
        <Menu.Positioner anchor={anchor} align="end" sideOffset={4} className="z-50">
          <Menu.Popup
            finalFocus={anchor}
            className="min-w-44 animate-appear rounded-control border border-line2 bg-raised p-1 shadow-float outline-none"
          >
            {actions.map(({ label, icon: Icon, onSelect, danger, disabled, separated }) => (
              <div key={label}>
                {separated && <Menu.Separator className="my-1 h-px bg-line" />}
                <Menu.Item
                  {...(disabled === undefined ? {} : { disabled })}
                  onClick={(event) => {
                    event.stopPropagation();
                    onSelect();
                  }}
                  className={`flex h-8 cursor-pointer items-center gap-2.5 rounded-tag px-2.5 outline-none select-none data-disabled:opacity-50 data-highlighted:bg-hover ${danger ? 'text-bad' : 'text-ink'}`}
                >
                  {Icon ? <Icon aria-hidden size={14} className={danger ? '' : 'text-ink2'} /> : null}
                  {label}
                </Menu.Item>
              </div>
            ))}
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  );
}
