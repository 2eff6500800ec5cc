import { Dialog } from '@base-ui/react/dialog';
import { classNames, IconButton } from '@corral/ui';
import { X } from 'lucide-react';
import type { ReactElement, ReactNode } from 'react';
import { en } from '../messages/en.ts';

interface ModalProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ReactNode;
  /** Beside the title. */
  readonly tools?: ReactNode;
  readonly className?: string;
}

/** A dialog over the page; a sheet from below on a phone. Open while mounted. */
export function Modal({ title, onClose, children, tools, className }: ModalProps): ReactElement {
  return (
    <Dialog.Root open onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="fixed inset-0 z-40 animate-appear bg-scrim backdrop-blur-[2px]" />
        <Dialog.Popup
          className={classNames(
            'fixed top-1/2 left-1/2 z-50 flex max-h-[calc(100dvh-48px)] w-[calc(100vw-48px)] -translate-x-1/2 -translate-y-1/2 animate-appear flex-col overflow-hidden rounded-dialog border border-line2 bg-panel shadow-float outline-none',
            'max-phone:top-auto max-phone:bottom-0 max-phone:left-0 max-phone:max-h-[92dvh] max-phone:w-full max-phone:translate-x-0 max-phone:translate-y-0 max-phone:rounded-b-none',
            className,
          )}
        >
          <div className="flex min-h-14 shrink-0 items-center gap-4 border-b border-line py-2 pr-3 pl-5">
            <Dialog.Title className="text-15">{title}</Dialog.Title>
            <div className="flex min-w-0 flex-1 items-center gap-3">{tools}</div>
            <Dialog.Close render={<IconButton label={en.close} />}>
              <X aria-hidden size={16} />
            </Dialog.Close>
          </div>
          {children}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/** A question before something dangerous: says what is lost; the safe answer has the focus. */
export function Question({
  title,
  children,
  actions,
  onClose,
}: {
  readonly title: string;
  readonly children: ReactNode;
  readonly actions: ReactNode;
  readonly onClose: () => void;
}): ReactElement {
  return (
    <Modal title={title} onClose={onClose} className="max-w-md">
      <div className="flex flex-col gap-2 overflow-y-auto px-5 py-4 text-ink2">{children}</div>
      <div className="flex flex-wrap justify-end gap-2 border-t border-line px-4 py-3">{actions}</div>
    </Modal>
  );
}
