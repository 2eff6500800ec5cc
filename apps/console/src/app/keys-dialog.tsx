import { Kbd } from '@corral/ui';
import type { ReactElement } from 'react';
import { en } from '../messages/en.ts';
import { Modal } from './modal.tsx';

export function KeysDialog({ onClose }: { readonly onClose: () => void }): ReactElement {
  return (
    <Modal title={en.keys.title} onClose={onClose} className="max-w-lg">
      <dl className="grid grid-cols-2 gap-x-8 gap-y-2.5 overflow-y-auto p-5 max-phone:grid-cols-1">
        {en.keys.rows.map(([keys, what]) => (
          <div key={keys} className="flex items-center justify-between gap-4">
            <dt className="flex gap-1">
              {keys.split(' ').map((key) => (
                <Kbd key={key}>{key}</Kbd>
              ))}
              <span className="sr-only">{keys}</span>
            </dt>
            <dd className="text-ink2">{what}</dd>
          </div>
        ))}
      </dl>
    </Modal>
  );
}
