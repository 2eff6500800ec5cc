import { Problem } from '@corral/contracts';

/** The target of a request line as a URL; host and scheme mean nothing. Refusal: `request.malformed`. */
export function parseTarget(url: string): URL {
  // No name, selector or path holds it, and PostgreSQL's text cannot.
  if (/%00/.test(url)) throw new Problem('request.malformed', 'the request target holds U+0000');
  try {
    return new URL(url, 'http://localhost');
  } catch (cause) {
    throw new Problem('request.malformed', 'the request target is not a valid URL', { cause });
  }
}
