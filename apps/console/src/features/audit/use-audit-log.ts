import { apiPath, type AuditEvent } from '@corral/contracts';
import { useCallback, useEffect, useRef, useState } from 'react';
import { asRefusal, type Refusal } from '../../api/refusal.ts';
import { request } from '../../api/request.ts';
import { AUDIT_EVENTS } from '../../api/resources.ts';
import { auditQuery, type AuditFilter } from './audit-filter.ts';

const PAGE_SIZE = 100;
/** The log is not watched; what is new is asked for while somebody looks. */
const FOLLOW_MS = 4_000;

interface Page {
  readonly metadata: { readonly continue?: string };
  readonly items: readonly AuditEvent[];
}

export interface AuditLogView {
  readonly events: readonly AuditEvent[];
  readonly loaded: boolean;
  readonly failure: Refusal | undefined;
  /** Absent when the oldest is shown. */
  readonly loadOlder: (() => void) | undefined;
  readonly retry: () => void;
}

interface State {
  readonly key: string;
  readonly events: readonly AuditEvent[];
  readonly next: string | undefined;
  readonly loaded: boolean;
  readonly failure: Refusal | undefined;
}

const EMPTY: State = { key: '', events: [], next: undefined, loaded: false, failure: undefined };

/** The audit log of a namespace, or of all, newest first: pages backwards on demand, and follows the end. */
export function useAuditLog(namespace: string | undefined, filter: AuditFilter): AuditLogView {
  const key = JSON.stringify([namespace, filter]);
  const [state, setState] = useState<State>(EMPTY);
  const [attempt, setAttempt] = useState(0);
  const newest = useRef<string>(undefined);
  const path = apiPath(AUDIT_EVENTS, namespace);

  useEffect(() => {
    const abort = new AbortController();
    const [, asked] = JSON.parse(key) as [unknown, AuditFilter];
    const ask = (page: { readonly since?: string }): Promise<Page> =>
      request<Page>(`${path}?${auditQuery(asked, { limit: PAGE_SIZE, ...page })}`, { signal: abort.signal });
    const refused = (error: unknown): void => {
      if (!abort.signal.aborted)
        setState((held) => ({ ...(held.key === key ? held : { ...EMPTY, key }), failure: asRefusal(error) }));
    };
    newest.current = undefined;
    const begin = ask({}).then(({ items, metadata }) => {
      newest.current = items[0]?.requestReceivedTimestamp;
      setState({ key, events: items, next: metadata.continue, loaded: true, failure: undefined });
    }, refused);
    const follow = async (): Promise<void> => {
      await begin;
      if (document.hidden || abort.signal.aborted) return;
      const { items } = await ask(newest.current === undefined ? {} : { since: newest.current });
      newest.current = items[0]?.requestReceivedTimestamp ?? newest.current;
      setState((held) => {
        const known = new Set(held.events.map(({ metadata }) => metadata.name));
        const fresh = items.filter(({ metadata }) => !known.has(metadata.name));
        return held.key !== key || (fresh.length === 0 && held.failure === undefined)
          ? held
          : { ...held, events: [...fresh, ...held.events], loaded: true, failure: undefined };
      });
    };
    const timer = setInterval(() => void follow().catch(refused), FOLLOW_MS);
    return () => {
      abort.abort();
      clearInterval(timer);
    };
  }, [key, path, attempt]);

  const shown = state.key === key ? state : EMPTY;
  const { next } = shown;
  const loadOlder = useCallback((): void => {
    const [, asked] = JSON.parse(key) as [unknown, AuditFilter];
    void request<Page>(
      `${path}?${auditQuery(asked, { limit: PAGE_SIZE, ...(next === undefined ? {} : { continue: next }) })}`,
    ).then(
      ({ items, metadata }) =>
        setState((held) =>
          held.key === key ? { ...held, events: [...held.events, ...items], next: metadata.continue } : held,
        ),
      (error: unknown) => setState((held) => ({ ...held, failure: asRefusal(error) })),
    );
  }, [key, path, next]);
  return {
    ...shown,
    loadOlder: next === undefined ? undefined : loadOlder,
    retry: () => setAttempt((count) => count + 1),
  };
}
