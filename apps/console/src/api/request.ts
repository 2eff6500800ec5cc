import { asRefusal, isStatus, Refusal } from './refusal.ts';

const DEADLINE_MS = 20_000;

/** Says who asked: the API refuses writes that carry the cookie but not this header (cross-site requests cannot set it). */
const CONSOLE_HEADER = { 'X-Corral-Console': '1' } as const;

export interface RequestOptions {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

type SignedOutListener = () => void;
const signedOutListeners = new Set<SignedOutListener>();

/** Told when the API says that nobody is signed in. */
export function onSignedOut(listener: SignedOutListener): () => void {
  signedOutListeners.add(listener);
  return () => signedOutListeners.delete(listener);
}

/** One request to the API this page came from. Throws Refusal, whatever goes wrong. */
export async function send(
  path: string,
  { method = 'GET', body, contentType = 'application/json', headers, signal }: RequestOptions = {},
): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: {
        Accept: 'application/json',
        ...CONSOLE_HEADER,
        ...headers,
        ...(body === undefined ? {} : { 'Content-Type': contentType }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.any([AbortSignal.timeout(DEADLINE_MS), ...(signal ? [signal] : [])]),
    });
  } catch (error) {
    throw asRefusal(error);
  }
  if (response.ok) return response;
  const status: unknown = await response.json().catch(() => undefined);
  if (response.status === 401) signedOutListeners.forEach((listener) => listener());
  const requestId = response.headers.get('x-request-id');
  throw isStatus(status)
    ? new Refusal(response.status, status.reason ?? '', status.message ?? response.statusText, {
        status,
        ...(requestId ? { requestId } : {}),
      })
    : new Refusal(response.status, 'Unreachable', response.statusText);
}

/** The JSON answer. The API is this page's own origin and its shapes are the contract's: T is what the path promises. */
export async function request<T>(path: string, options?: RequestOptions): Promise<T> {
  const response = await send(path, options);
  return (await response.json()) as T;
}
