import { type FieldProblem, type Problem } from '@corral/contracts';
import { malformed, optionsInvalid } from './refusals.ts';
import { isTrue } from './request-attributes.ts';

/** The query of a list or watch. Source: metav1.ListOptions. */
export interface ListRequest {
  readonly labelSelector: string | undefined;
  readonly fieldSelector: string | undefined;
  readonly limit: number | undefined;
  readonly continueToken: string | undefined;
  /** Undefined: the newest state; 0: any state, which here is the newest too. */
  readonly resourceVersion: number | undefined;
  readonly match: 'Exact' | 'NotOlderThan' | undefined;
}

export interface WatchRequest {
  readonly labelSelector: string | undefined;
  readonly fieldSelector: string | undefined;
  /** Where the watch begins: after a version, with everything there is, or with what happens next. */
  readonly start: { readonly from: 'Version'; readonly version: number } | { readonly from: 'Existing' } | { readonly from: 'Now' };
  /** Bookmarks were asked for. */
  readonly bookmarks: boolean;
  /** A bookmark says where the initial events end. */
  readonly marksInitialEnd: boolean;
  readonly timeoutSeconds: number | undefined;
}

export type Query = (name: string) => string | undefined;

export function readListRequest(query: Query): ListRequest {
  const resourceVersion = readVersion(query('resourceVersion'));
  const match = readMatch(query('resourceVersionMatch'));
  const continueToken = query('continue') || undefined;
  if (match && query('resourceVersion') === undefined) throw forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden unless resourceVersion is provided');
  if (match && continueToken) throw forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden when continue is provided');
  if (match === 'Exact' && !resourceVersion) throw forbidden('resourceVersionMatch', 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
  if (continueToken && resourceVersion) throw malformed('specifying resource version is not allowed when using continue');
  if (query('sendInitialEvents') !== undefined) throw forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list');
  const limit = readCount('limit', query('limit'));
  return { ...readSelectors(query), limit: limit === 0 ? undefined : limit, continueToken, resourceVersion, match };
}

export function readWatchRequest(query: Query): WatchRequest {
  const version = readVersion(query('resourceVersion'));
  const match = readMatch(query('resourceVersionMatch'));
  const sendInitialEvents = query('sendInitialEvents');
  const bookmarks = isTrue(query('allowWatchBookmarks'));
  const common = { ...readSelectors(query), bookmarks, timeoutSeconds: readCount('timeoutSeconds', query('timeoutSeconds')) };

  if (sendInitialEvents === undefined) {
    if (match) throw forbidden('resourceVersionMatch', 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided');
    return { ...common, start: version ? { from: 'Version', version } : { from: 'Existing' }, marksInitialEnd: false };
  }
  if (match !== 'NotOlderThan') throw forbidden('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
  if (isTrue(sendInitialEvents)) {
    if (!bookmarks) throw forbidden('allowWatchBookmarks', 'sendInitialEvents requires setting allowWatchBookmarks to true');
    return { ...common, start: { from: 'Existing' }, marksInitialEnd: true };
  }
  return { ...common, start: version ? { from: 'Version', version } : { from: 'Now' }, marksInitialEnd: false };
}

const readSelectors = (query: Query) => ({ labelSelector: query('labelSelector'), fieldSelector: query('fieldSelector') });

/** A version as a number; undefined when none is given. Anything but digits is refused with 400. */
export function readVersion(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const version = /^\d{1,15}$/.test(text) ? Number(text) : undefined;
  if (version === undefined) throw malformed(`invalid resource version: "${text}" is not a version this server gave`);
  return version;
}

function readMatch(text: string | undefined): 'Exact' | 'NotOlderThan' | undefined {
  if (text === undefined || text === '') return undefined;
  if (text === 'Exact' || text === 'NotOlderThan') return text;
  throw invalid({ field: 'resourceVersionMatch', reason: 'FieldValueNotSupported', message: 'supported values: "Exact", "NotOlderThan", ""' }, { resourceVersionMatch: text });
}

function readCount(name: string, text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,9}$/.test(text)) throw malformed(`${name} must be a whole number that is not negative`);
  return Number(text);
}

const invalid = (problem: FieldProblem, options?: unknown): Problem => optionsInvalid('ListOptions', problem, options);
const forbidden = (field: string, message: string): Problem => invalid({ field, reason: 'FieldValueForbidden', message });
