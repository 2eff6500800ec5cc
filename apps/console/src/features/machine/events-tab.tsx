import type { Event } from '@corral/contracts';
import { Skeleton, StatusGlyph } from '@corral/ui';
import type { ReactElement } from 'react';
import { eventsOfPath } from '../../api/resources.ts';
import { Age } from '../../app/age.tsx';
import { ListTrouble } from '../../app/trouble.tsx';
import { useCollection } from '../../live/live.ts';
import { en } from '../../messages/en.ts';

const timeOf = (event: Event): string => event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp;

/** What happened to one object, newest first. */
export function EventList({ namespace, uid }: { readonly namespace: string; readonly uid: string }): ReactElement {
  const { items, loaded, failure, retry } = useCollection<Event>(eventsOfPath(namespace, uid));
  const sorted = [...items].sort(
    (a, b) =>
      Date.parse(timeOf(b)) - Date.parse(timeOf(a)) ||
      Number(b.metadata.resourceVersion) - Number(a.metadata.resourceVersion),
  );
  if (failure && !loaded) return <ListTrouble what={en.events.what} failure={failure} onRetry={retry} />;
  if (!loaded) return <Skeleton className="h-24 w-full" />;
  if (sorted.length === 0) return <p className="py-8 text-center text-ink2">{en.events.none}</p>;
  return (
    <ol aria-label={en.events.list} className="overflow-clip rounded-card border border-line bg-panel">
      {sorted.map((event) => (
        <li key={event.metadata.uid} className="flex items-start gap-3 border-b border-line px-4 py-2.5 last:border-0">
          <span className="mt-1">
            <StatusGlyph
              shape={event.type === 'Warning' ? 'Triangle' : 'Disc'}
              tone={event.type === 'Warning' ? 'Attention' : 'Off'}
              size={11}
            />
          </span>
          <span className="min-w-0 flex-1">
            <span className="font-medium">{event.reason}</span>{' '}
            <span className="break-words text-ink2">{event.message}</span>
            <span className="block text-12 text-ink3">
              {[
                event.source?.component ?? event.reportingComponent,
                (event.count ?? 1) > 1 ? en.events.times(event.count ?? 1) : undefined,
              ]
                .filter(Boolean)
                .join(', ')}
            </span>
          </span>
          <Age at={timeOf(event)} className="shrink-0 text-12 text-ink2" />
        </li>
      ))}
    </ol>
  );
}
