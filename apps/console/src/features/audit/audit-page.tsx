import type { AuditEvent } from '@corral/contracts';
import { Button, classNames, Skeleton, StatusGlyph } from '@corral/ui';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { ChevronRight, ScrollText } from 'lucide-react';
import { useEffect, useId, useRef, useState, type KeyboardEvent, type ReactElement, type Ref } from 'react';
import { Age } from '../../app/age.tsx';
import { useKeys } from '../../app/keys.ts';
import { useNamespace } from '../../app/namespace.ts';
import { EmptyState, Page } from '../../app/page.tsx';
import { ListTrouble } from '../../app/trouble.tsx';
import { en } from '../../messages/en.ts';
import { CONTROL } from '../new-machine/form-field.tsx';
import type { AuditFilter } from './audit-filter.ts';
import { useAuditLog } from './use-audit-log.ts';

const VERBS = ['create', 'update', 'patch', 'delete', 'deletecollection', 'get', 'list', 'post'] as const;
const OUTCOMES = ['Allowed', 'Denied'] as const;
const TYPING_MS = 300;

/** Who changed this, and from where? */
export function AuditPage(): ReactElement {
  const namespace = useNamespace();
  const search = useSearch({ from: '/app/audit' });
  const navigate = useNavigate();
  const { user, verb, resource, name, outcome } = search;
  const filter: AuditFilter = { user, verb, resource, name, outcome };
  const { events, loaded, failure, loadOlder, retry } = useAuditLog(namespace, filter);
  const change = (next: AuditFilter): void =>
    void navigate({ to: '/audit', search: (previous) => ({ ...previous, ...next }), replace: true });
  const isFiltered = Object.values(filter).some((value) => value !== undefined);
  const trouble = failure && { code: failure.code, reason: failure.reason, message: failure.message };

  return (
    <Page title={en.audit.title}>
      <Filters filter={filter} onChange={change} />
      <div className="min-h-0 flex-1 overflow-y-auto px-5 pb-4 max-phone:px-4">
        {trouble && <ListTrouble what={en.audit.what} failure={trouble} onRetry={retry} />}
        {!loaded ? (
          !trouble && <Skeleton className="h-48 w-full" />
        ) : events.length === 0 ? (
          <EmptyState
            icon={<ScrollText size={26} />}
            title={isFiltered ? en.audit.noneFiltered : en.audit.none}
            hint={isFiltered ? en.audit.noneFilteredHint : en.audit.noneHint}
          />
        ) : (
          <>
            <AuditTable events={events} showNamespace={namespace === undefined} onFilter={change} />
            <p className="py-4 text-center text-12 text-ink3">
              {loadOlder ? <Button onClick={loadOlder}>{en.audit.older}</Button> : en.audit.end}
            </p>
          </>
        )}
      </div>
    </Page>
  );
}

function Filters({
  filter,
  onChange,
}: {
  readonly filter: AuditFilter;
  readonly onChange: (next: AuditFilter) => void;
}): ReactElement {
  const first = useRef<HTMLInputElement>(null);
  useKeys({
    '/': () => first.current?.focus(),
    Escape: () =>
      onChange({ user: undefined, verb: undefined, resource: undefined, name: undefined, outcome: undefined }),
  });
  return (
    <form
      role="search"
      aria-label={en.audit.filters}
      onSubmit={(event) => event.preventDefault()}
      className="flex flex-wrap items-end gap-2.5 px-5 py-3.5 max-phone:px-4"
    >
      <TextFilter
        label={en.audit.fields.user}
        value={filter.user}
        inputRef={first}
        onChange={(user) => onChange({ user })}
      />
      <ChoiceFilter
        label={en.audit.fields.verb}
        value={filter.verb}
        choices={VERBS}
        words={(verb) => verb}
        onChange={(verb) => onChange({ verb })}
      />
      <TextFilter
        label={en.audit.fields.resource}
        value={filter.resource}
        onChange={(resource) => onChange({ resource })}
      />
      <TextFilter label={en.audit.fields.name} value={filter.name} onChange={(name) => onChange({ name })} />
      <ChoiceFilter
        label={en.audit.fields.outcome}
        value={filter.outcome}
        choices={OUTCOMES}
        words={(outcome) => en.audit.outcomes[outcome]}
        onChange={(outcome) => onChange({ outcome })}
      />
    </form>
  );
}

function TextFilter({
  label,
  value,
  onChange,
  inputRef,
}: {
  readonly label: string;
  readonly value: string | undefined;
  readonly onChange: (next: string | undefined) => void;
  readonly inputRef?: Ref<HTMLInputElement>;
}): ReactElement {
  const id = useId();
  const [text, setText] = useState(value ?? '');
  const [shown, setShown] = useState(value);
  // A link may change the filter from outside.
  if (shown !== value) {
    setShown(value);
    setText(value ?? '');
  }
  useEffect(() => {
    if (text === (value ?? '')) return undefined;
    const timer = setTimeout(() => onChange(text === '' ? undefined : text), TYPING_MS);
    return () => clearTimeout(timer);
  });
  return (
    <div className="flex w-40 min-w-0 flex-col gap-1 text-12 text-ink2 max-phone:w-[calc(50%-5px)]">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        ref={inputRef}
        type="text"
        value={text}
        spellCheck={false}
        autoComplete="off"
        onChange={({ target }) => setText(target.value)}
        className={classNames(CONTROL, 'text-13')}
      />
    </div>
  );
}

function ChoiceFilter<T extends string>({
  label,
  value,
  choices,
  words,
  onChange,
}: {
  readonly label: string;
  readonly value: string | undefined;
  readonly choices: readonly T[];
  readonly words: (choice: T) => string;
  readonly onChange: (next: T | undefined) => void;
}): ReactElement {
  const id = useId();
  return (
    <div className="flex w-36 min-w-0 flex-col gap-1 text-12 text-ink2 max-phone:w-[calc(50%-5px)]">
      <label htmlFor={id}>{label}</label>
      <select
        id={id}
        value={value ?? ''}
        onChange={({ target }) => onChange(choices.find((choice) => choice === target.value))}
        className={classNames(CONTROL, 'text-13')}
      >
        <option value="">{en.audit.any}</option>
        {choices.map((choice) => (
          <option key={choice} value={choice}>
            {words(choice)}
          </option>
        ))}
      </select>
    </div>
  );
}

const objectOf = ({ objectRef, requestURI }: AuditEvent): string =>
  objectRef
    ? `${objectRef.resource}${objectRef.name ? `/${objectRef.name}` : ''}${objectRef.subresource ? `/${objectRef.subresource}` : ''}`
    : (requestURI ?? '');

/** Arrow keys go from row to row; Enter shows all there is about one. */
function moveFocus(event: KeyboardEvent<HTMLElement>): void {
  const step =
    event.key === 'ArrowDown' || event.key === 'j' ? 1 : event.key === 'ArrowUp' || event.key === 'k' ? -1 : 0;
  if (step === 0) return;
  const rows = [...event.currentTarget.querySelectorAll<HTMLButtonElement>('button[aria-expanded]')];
  const next = rows[rows.findIndex((row) => row === document.activeElement) + step];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

function AuditTable({
  events,
  showNamespace,
  onFilter,
}: {
  readonly events: readonly AuditEvent[];
  readonly showNamespace: boolean;
  readonly onFilter: (next: AuditFilter) => void;
}): ReactElement {
  const [open, setOpen] = useState<string>();
  const columns = [
    en.audit.columns.time,
    en.audit.fields.user,
    en.audit.fields.verb,
    en.audit.columns.object,
    ...(showNamespace ? [en.nav.namespace] : []),
    en.audit.columns.code,
    en.audit.columns.from,
  ];
  return (
    <div className="relative overflow-x-auto rounded-card border border-line bg-panel" onKeyDown={moveFocus}>
      <table className="w-full border-collapse text-left">
        <caption className="sr-only">{en.audit.title}</caption>
        <thead>
          <tr className="border-b border-line text-12 text-ink2">
            {columns.map((column) => (
              <th
                key={column}
                scope="col"
                className={classNames(
                  'px-3 py-2 font-medium whitespace-nowrap',
                  (column === en.nav.namespace || column === en.audit.columns.from) && 'max-phone:hidden',
                )}
              >
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {events.map((event) => (
            <AuditRow
              key={event.metadata.name}
              event={event}
              width={columns.length}
              showNamespace={showNamespace}
              isOpen={open === event.metadata.name}
              onToggle={() => setOpen(open === event.metadata.name ? undefined : event.metadata.name)}
              onFilter={onFilter}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function AuditRow({
  event,
  width,
  showNamespace,
  isOpen,
  onToggle,
  onFilter,
}: {
  readonly event: AuditEvent;
  readonly width: number;
  readonly showNamespace: boolean;
  readonly isOpen: boolean;
  readonly onToggle: () => void;
  readonly onFilter: (next: AuditFilter) => void;
}): ReactElement {
  const { user, verb, responseStatus, decision, sourceIPs, requestReceivedTimestamp: at } = event;
  const failed = responseStatus.code >= 400;
  const cell = 'px-3 py-2 align-top whitespace-nowrap';
  return (
    <>
      <tr className={classNames('border-b border-line', isOpen && 'bg-hover')}>
        <td className={cell}>
          <button
            type="button"
            aria-expanded={isOpen}
            onClick={onToggle}
            className="flex items-center gap-1.5 rounded-tag text-ink2 hover:text-ink"
          >
            <ChevronRight aria-hidden size={13} className={isOpen ? 'rotate-90' : ''} />
            <Age at={at} />
            <span className="sr-only">{en.audit.detailsOf(verb, objectOf(event))}</span>
          </button>
        </td>
        <td className={classNames(cell, 'max-w-64 truncate font-medium max-phone:max-w-28')} title={user.username}>
          {user.username}
          {event.impersonatedBy && (
            <span className="font-normal text-ink3"> {en.audit.by(event.impersonatedBy.username)}</span>
          )}
        </td>
        <td className={cell}>{verb}</td>
        <td
          className={classNames(cell, 'max-w-80 truncate font-mono text-12 max-phone:max-w-40')}
          title={objectOf(event)}
        >
          {objectOf(event)}
        </td>
        {showNamespace && (
          <td className={classNames(cell, 'max-phone:hidden')}>{event.metadata.namespace ?? en.none}</td>
        )}
        <td className={cell}>
          <span className={classNames('flex items-center gap-1.5', failed && 'text-bad')}>
            <StatusGlyph
              shape={decision === 'Denied' ? 'Diamond' : failed ? 'Triangle' : 'Disc'}
              tone={decision === 'Denied' ? 'Bad' : failed ? 'Attention' : 'Good'}
              size={10}
            />
            {responseStatus.code}
            <span className="sr-only">{en.audit.outcomes[decision]}</span>
          </span>
        </td>
        <td className={classNames(cell, 'text-ink2 max-phone:hidden')}>{sourceIPs.join(', ')}</td>
      </tr>
      {isOpen && (
        <tr className="border-b border-line bg-canvas">
          <td colSpan={width} className="px-3 py-3">
            <dl className="grid grid-cols-[max-content_minmax(0,1fr)] gap-x-4 gap-y-1.5 text-12">
              {detailsOf(event).map(([label, value]) => (
                <div key={label} className="contents">
                  <dt className="text-ink2">{label}</dt>
                  <dd className="break-all select-all">{value}</dd>
                </div>
              ))}
            </dl>
            <div className="mt-3 flex flex-wrap gap-2">
              <Button size="Small" onClick={() => onFilter({ user: user.username })}>
                {en.audit.onlyUser}
              </Button>
              {event.objectRef?.name && (
                <Button
                  size="Small"
                  onClick={() => onFilter({ resource: event.objectRef?.resource, name: event.objectRef?.name })}
                >
                  {en.audit.onlyObject}
                </Button>
              )}
            </div>
          </td>
        </tr>
      )}
    </>
  );
}

function detailsOf(event: AuditEvent): readonly (readonly [string, string])[] {
  const { details } = en.audit;
  return [
    [details.time, en.moment(event.requestReceivedTimestamp)],
    [details.outcome, [en.audit.outcomes[event.decision], event.responseStatus.reason].filter(Boolean).join(', ')],
    [details.from, event.sourceIPs.join(', ')],
    [details.groups, event.user.groups.join(', ')],
    [details.credential, event.user.credential ?? en.none],
    [details.agent, event.userAgent ?? en.none],
    [details.request, event.requestID],
  ];
}
