import { useSyncExternalStore } from 'react';
import { asRefusal } from '../api/refusal.ts';
import { onSignedOut, request, send } from '../api/request.ts';
import { forgetEverything } from '../live/live.ts';

export type Session =
  | { readonly state: 'Unknown' }
  | { readonly state: 'SignedOut' }
  | { readonly state: 'SignedIn'; readonly user: string; /** Where they have rights; `*` alone when they may list all. */ readonly namespaces: readonly string[] };

let session: Session = { state: 'Unknown' };
const listeners = new Set<() => void>();

function set(next: Session): void {
  session = next;
  listeners.forEach((listener) => listener());
}

onSignedOut(() => {
  if (session.state === 'SignedOut') return;
  forgetEverything();
  set({ state: 'SignedOut' });
});

interface SessionBody {
  readonly user: { readonly name: string };
  readonly namespaces: readonly string[];
}

/** Who is signed in, asked once; throws only when the API cannot be reached. */
export async function currentSession(): Promise<Session> {
  if (session.state === 'Unknown') {
    try {
      const { user, namespaces } = await request<SessionBody>('/auth/session');
      set({ state: 'SignedIn', user: user.name, namespaces });
    } catch (error) {
      if (asRefusal(error).code !== 401) throw error;
      set({ state: 'SignedOut' });
    }
  }
  return session;
}

/** Trades a token for the HttpOnly cookie; script does not keep the token. */
export async function signIn(token: string): Promise<void> {
  await send('/auth/sessions', { method: 'POST', body: { token } });
  session = { state: 'Unknown' };
  await currentSession();
}

export async function signOut(): Promise<void> {
  await send('/auth/sessions', { method: 'DELETE' });
  forgetEverything();
  set({ state: 'SignedOut' });
}

export function useSession(): Session {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => session,
  );
}
