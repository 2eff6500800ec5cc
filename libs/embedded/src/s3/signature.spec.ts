import { verifySignature, type SignedRequest } from './signature.ts';

/** The examples of Amazon S3 API Reference, "Signature Calculations for the Authorization Header" and "… Query Parameters". */
const CREDENTIALS = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const AT = new Date('2013-05-24T00:00:00Z');
const header: SignedRequest = {
  method: 'GET',
  path: '/test.txt',
  query: new URLSearchParams(),
  headers: {
    host: 'examplebucket.s3.amazonaws.com',
    range: 'bytes=0-9',
    'x-amz-content-sha256': EMPTY,
    'x-amz-date': '20130524T000000Z',
    authorization:
      'AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  },
};
const presigned: SignedRequest = {
  method: 'GET',
  path: '/test.txt',
  query: new URLSearchParams({
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request',
    'X-Amz-Date': '20130524T000000Z',
    'X-Amz-Expires': '86400',
    'X-Amz-SignedHeaders': 'host',
    'X-Amz-Signature': 'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
  }),
  headers: { host: 'examplebucket.s3.amazonaws.com' },
};
const minutesLater = (minutes: number): Date => new Date(AT.getTime() + minutes * 60_000);

describe('verifySignature', () => {
  it('accepts the documented examples and says what they promise of the body', () => {
    expect(verifySignature(header, CREDENTIALS, AT)).toBe(EMPTY);
    expect(verifySignature(presigned, CREDENTIALS, AT)).toBe('UNSIGNED-PAYLOAD');
  });

  it.each<[string, Partial<SignedRequest>]>([
    ['another method', { method: 'PUT' }],
    ['another path', { path: '/other.txt' }],
    ['another query', { query: new URLSearchParams({ a: 'b' }) }],
    ['another signed header', { headers: { ...header.headers, range: 'bytes=0-10' } }],
    ['another body', { headers: { ...header.headers, 'x-amz-content-sha256': EMPTY.replace('e3', 'e4') } }],
  ])('refuses %s than was signed', (_what, change) => {
    expect(() => verifySignature({ ...header, ...change }, CREDENTIALS, AT)).toThrow('SignatureDoesNotMatch');
  });

  it('refuses what is too old, from the future, or not signed at all', () => {
    expect(() => verifySignature(header, CREDENTIALS, minutesLater(16))).toThrow('RequestTimeTooSkewed');
    expect(() => verifySignature(header, CREDENTIALS, minutesLater(-16))).toThrow('RequestTimeTooSkewed');
    expect(() => verifySignature(presigned, CREDENTIALS, minutesLater(24 * 60 + 1))).toThrow('expired');
    expect(() => verifySignature({ ...header, headers: { host: 'x' } }, CREDENTIALS, AT)).toThrow('not signed');
  });
});
