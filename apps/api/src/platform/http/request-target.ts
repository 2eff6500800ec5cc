import { Problem } from '@corral/contracts';

/** As the router strips it: a proxy's request line (RFC 9112 §3.2.2). */
const SCHEME_AND_HOST = /^https?:\/\/.*?\//;

/**
 * The target of a request line as a URL; host and scheme mean nothing. Its path is spelt in one way, however the client
 * spelt it, and no way is left in which the router could read another path than whoever authorizes: dot segments, encoded
 * slashes, backslashes and fragments are refused. Refusal: `request.malformed`.
 */
export function parseTarget(target: string): URL {
  const [path = '', ...query] = target.replace(SCHEME_AND_HOST, '/').split('?');
  if (!path.startsWith('/')) throw malformed('does not begin with a slash');
  if (target.includes('#')) throw malformed('holds a fragment');
  // No name, selector or path holds it, and PostgreSQL's text cannot.
  if (target.includes('%00')) throw malformed('holds U+0000');
  const segments = path.slice(1).split('/').map(segmentOf);
  const search = query.length === 0 ? '' : `?${query.join('?')}`;
  return new URL(`http://localhost/${segments.map(encodeURIComponent).join('/')}${search}`);
}

function segmentOf(raw: string): string {
  const segment = decode(raw);
  if (segment === '.' || segment === '..') throw malformed('holds a dot segment');
  if (/[/\\\x00-\x1f\x7f]/.test(segment)) throw malformed('holds an encoded slash, a backslash or a control character');
  return segment;
}

function decode(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch (cause) {
    throw malformed('is not valid percent-encoding', cause);
  }
}

const malformed = (what: string, cause?: unknown): Problem => new Problem('request.malformed', `the request target ${what}`, { cause });
