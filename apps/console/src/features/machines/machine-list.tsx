import { Link } from '@tanstack/react-router';
import { ChevronRight } from 'lucide-react';
import type { ReactElement } from 'react';
import { useNow } from '../../live/now.ts';
import { en } from '../../messages/en.ts';
import { Thumbnail } from '../machine/thumbnail.tsx';
import type { MachineRow } from './machine-rows.ts';
import { showsScreen } from './machine-verbs.ts';
import { StatusWords } from './status-words.tsx';

/** The fleet on a phone: picture, name, state and why. */
export function MachineList({ rows }: { readonly rows: readonly MachineRow[] }): ReactElement {
  const now = useNow();
  return (
    <ul aria-label={en.machines.table} className="min-h-0 flex-1 divide-y divide-line overflow-y-auto px-4">
      {rows.map(({ uid, vm, status, nodeName }) => (
        <li key={uid}>
          <Link
            to="/machines/$namespace/$name/$tab"
            params={{ namespace: vm.metadata.namespace ?? '', name: vm.metadata.name, tab: 'screen' }}
            search={(previous) => ({ ns: previous.ns })}
            className="flex items-center gap-3 py-2.5"
          >
            <Thumbnail vm={vm} live={showsScreen(status)} once={status.says === 'Hibernated'} className="h-14 w-[92px]" />
            <span className="flex min-w-0 flex-1 flex-col gap-1">
              <span className="truncate text-15 font-medium">{vm.metadata.name}</span>
              <StatusWords
                status={status.reason === '' && nodeName ? { ...status, reason: nodeName } : status}
                now={now}
              />
            </span>
            <ChevronRight aria-hidden size={16} className="shrink-0 text-ink3" />
          </Link>
        </li>
      ))}
    </ul>
  );
}
