import { lookup as dnsLookup } from 'node:dns';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { type FetchAddressPolicy } from '../../platform/http/address-policy.ts';
import { ImageFault } from './image-fault.ts';

const MAX_REDIRECTS = 5;
/** Without a byte for this long, also while connecting, the source is taken for gone. */
const SILENCE_MS = 30_000;

/**
 * Opens an http(s) URL and gives its answer, a 200, after following redirects. Names are resolved once, every address is
 * checked against the policy, and the connection goes to exactly the address that was checked: what a name means a
 * moment later does not matter. Failures are ImageFaults.
 */
export async function openUrl(url: string, policy: FetchAddressPolicy, signal: AbortSignal): Promise<IncomingMessage> {
  let next = parseUrl(url);
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const response = await get(next, policy, signal);
    const status = response.statusCode ?? 0;
    if (status === 200) return response;
    response.destroy();
    const { location } = response.headers;
    if (status < 300 || status > 399 || location === undefined) throw new ImageFault(`HttpStatus${status}`, `${next.origin} answered ${status} ${response.statusMessage ?? ''}.`);
    next = parseUrl(location, next);
  }
  throw new ImageFault('Unreachable', `More than ${MAX_REDIRECTS} redirects.`);
}

function parseUrl(text: string, base?: URL): URL {
  const url = URL.canParse(text, base?.href) ? new URL(text, base) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new ImageFault('AddressRefused', base ? `${base.origin} redirects to something that is not http(s).` : 'The URL is not http(s).');
}

function get(url: URL, policy: FetchAddressPolicy, signal: AbortSignal): Promise<IncomingMessage> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  // An address written in the URL is never looked up, so it is checked here.
  if (isIP(host) !== 0 && !policy.allows(host)) return Promise.reject(refused(url));
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const outgoing = send(url, {
      // A pooled connection could have been made under another policy or for another name.
      agent: false,
      lookup: checkedLookup(url, policy),
      timeout: SILENCE_MS,
      signal,
      headers: { 'accept-encoding': 'identity', 'user-agent': 'corral' },
    });
    outgoing.once('response', resolve);
    outgoing.once('timeout', () => outgoing.destroy(new ImageFault('Unreachable', `${url.origin} was silent for ${SILENCE_MS / 1000} s.`)));
    outgoing.once('error', (error) => reject(error instanceof ImageFault ? error : unreachable(url, error)));
    outgoing.end();
  });
}

function checkedLookup(url: URL, policy: FetchAddressPolicy): LookupFunction {
  return (hostname, options, callback) => {
    dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, '', 0);
      const allowed = addresses.filter(({ address }) => policy.allows(address));
      const [first] = allowed;
      if (!first) return callback(refused(url), '', 0);
      if (options.all) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}

/** The message names no address: what a private name resolves to is the operator's business. */
function refused(url: URL): ImageFault {
  return new ImageFault('AddressRefused', `${url.hostname} is not a public address. Whoever runs this server can allow it (CORRAL_IMAGE_FETCH_ALLOW_PRIVATE, CORRAL_IMAGE_FETCH_NETWORKS).`);
}

export function unreachable(url: URL, cause: unknown): ImageFault {
  const code = cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? ` (${cause.code})` : '';
  return new ImageFault('Unreachable', `${url.origin} could not be reached or broke off${code}.`, { cause });
}
