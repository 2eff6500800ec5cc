import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { S3Fault } from './fault.ts';

const MAX_SKEW_MS = 15 * 60_000;
const MAX_EXPIRY_SECONDS = 7 * 24 * 3600;

export interface SignedRequest {
  readonly method: string;
  /** As received, still encoded, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
}
export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

interface Claim {
  readonly credential: string;
  readonly signedHeaders: string;
  readonly signature: string;
  readonly date: string;
  readonly payloadHash: string;
  /** Without the signature itself. */
  readonly query: URLSearchParams;
}

/**
 * Checks a Signature Version 4, in the Authorization header or in the query, and answers what it promises of the body:
 * a SHA-256, `UNSIGNED-PAYLOAD` or a `STREAMING-…` scheme. Throws S3Fault.
 * Source: Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)".
 */
export function verifySignature(request: SignedRequest, credentials: Credentials, now: Date): string {
  const claim = request.query.has('X-Amz-Signature') ? claimOfQuery(request, now) : claimOfHeader(request, now);
  const [accessKeyId, day = '', region = '', service = ''] = claim.credential.split('/');
  if (accessKeyId !== credentials.accessKeyId) throw new S3Fault('InvalidAccessKeyId');
  const signedHeaders = claim.signedHeaders.split(';');
  if (!signedHeaders.includes('host')) throw new S3Fault('AccessDenied', 'The host header must be signed');

  const canonicalRequest = [
    request.method,
    request.path
      .split('/')
      .map((segment) => encode(decode(segment)))
      .join('/'),
    canonicalQuery(claim.query),
    ...signedHeaders.map((name) => `${name}:${canonicalValue(request.headers[name])}`),
    '',
    claim.signedHeaders,
    claim.payloadHash,
  ].join('\n');
  const scope = `${day}/${region}/${service}/aws4_request`;
  const textToSign = ['AWS4-HMAC-SHA256', claim.date, scope, sha256(canonicalRequest)].join('\n');
  const key = [day, region, service, 'aws4_request'].reduce<string | Buffer>(
    hmac,
    `AWS4${credentials.secretAccessKey}`,
  );
  const expected = hmac(key, textToSign);
  const given = Buffer.from(claim.signature, 'hex');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw new S3Fault('SignatureDoesNotMatch');
  return claim.payloadHash;
}

function claimOfHeader({ headers, query }: SignedRequest, now: Date): Claim {
  const match = /^AWS4-HMAC-SHA256 Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]+)$/.exec(
    headers.authorization ?? '',
  );
  const [, credential, signedHeaders, signature] = match ?? [];
  const date = single(headers['x-amz-date']);
  const payloadHash = single(headers['x-amz-content-sha256']);
  if (
    credential === undefined ||
    signedHeaders === undefined ||
    signature === undefined ||
    date === undefined ||
    payloadHash === undefined
  ) {
    throw new S3Fault('AccessDenied', 'The request is not signed');
  }
  if (!(Math.abs(now.getTime() - parseDate(date)) <= MAX_SKEW_MS)) throw new S3Fault('RequestTimeTooSkewed');
  return { credential, signedHeaders, signature, date, payloadHash, query };
}

function claimOfQuery({ headers, query }: SignedRequest, now: Date): Claim {
  const get = (name: string): string => query.get(`X-Amz-${name}`) ?? '';
  const signed = new URLSearchParams(query);
  signed.delete('X-Amz-Signature');
  const expiresSeconds = Number(get('Expires'));
  if (!(expiresSeconds > 0 && expiresSeconds <= MAX_EXPIRY_SECONDS))
    throw new S3Fault('AccessDenied', 'X-Amz-Expires is out of range');
  const begin = parseDate(get('Date'));
  const inTime = now.getTime() >= begin - MAX_SKEW_MS && now.getTime() <= begin + expiresSeconds * 1000;
  if (!inTime) throw new S3Fault('AccessDenied', 'The request has expired');
  return {
    credential: get('Credential'),
    signedHeaders: get('SignedHeaders'),
    signature: get('Signature'),
    date: get('Date'),
    payloadHash: single(headers['x-amz-content-sha256']) ?? (get('Content-Sha256') || 'UNSIGNED-PAYLOAD'),
    query: signed,
  };
}

function canonicalQuery(query: URLSearchParams): string {
  const pairs = [...query].map(([name, value]) => [encode(name), encode(value)] as const);
  const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  return pairs
    .sort((a, b) => order(a[0], b[0]) || order(a[1], b[1]))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

const canonicalValue = (value: string | string[] | undefined): string =>
  [value ?? ''].flat().join(',').trim().replace(/ +/g, ' ');
const single = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value);
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** `20251120T101112Z`; NaN when it is none. */
const parseDate = (text: string): number =>
  Date.parse(text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));

/** RFC 3986 percent-encoding, which leaves less alone than encodeURIComponent. */
export const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);

export function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new S3Fault('InvalidArgument', 'The path is not percent-encoded UTF-8');
  }
}
