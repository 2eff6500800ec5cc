import type { Bucket } from './bucket.ts';
import { S3Fault } from './fault.ts';
import { receiveText } from './intake.ts';
import { listKeys } from './listing.ts';
import { answerXml, type S3Exchange } from './exchange.ts';
import { encode } from './signature.ts';
import { Upload } from './upload.ts';
import { textsOf, toXml } from './xml.ts';

const MAX_KEYS = 1000;

/** Requests about a bucket that is there: what is in it, and deleting many at once. */
export async function handleBucket(bucket: Bucket, exchange: S3Exchange): Promise<void> {
  const { method, query, response } = exchange;
  if (method === 'HEAD') {
    response.writeHead(200).end();
    return;
  }
  if (method === 'POST' && query.has('delete')) return deleteMany(bucket, exchange);
  if (method === 'GET' && query.has('uploads')) {
    const uploads = await Upload.list(bucket);
    return answerXml(
      response,
      toXml('ListMultipartUploadsResult', { Upload: uploads.map(({ id, key }) => ({ Key: key, UploadId: id })) }),
    );
  }
  if (method === 'GET' && query.has('location')) return answerXml(response, toXml('LocationConstraint', ''));
  if (method === 'GET' && query.get('list-type') === '2') return list(bucket, exchange);
  throw new S3Fault('NotImplemented');
}

async function deleteMany(bucket: Bucket, { request, response }: S3Exchange): Promise<void> {
  const body = await receiveText(request);
  const keys = textsOf(body, 'Key');
  if (keys.length === 0 || keys.length > MAX_KEYS) throw new S3Fault('MalformedXML', 'Name from 1 to 1000 keys');
  for (const key of keys) await bucket.delete(key);
  const quiet = textsOf(body, 'Quiet')[0] === 'true';
  answerXml(response, toXml('DeleteResult', { Deleted: quiet ? [] : keys.map((Key) => ({ Key })) }));
}

function list(bucket: Bucket, { query, response, bucketName }: S3Exchange): void {
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const maxKeys = Math.min(MAX_KEYS, Number(query.get('max-keys') ?? MAX_KEYS));
  if (!Number.isInteger(maxKeys) || maxKeys < 0) throw new S3Fault('InvalidArgument', 'max-keys must be a number');
  const token = query.get('continuation-token');
  const after = token === null ? (query.get('start-after') ?? '') : Buffer.from(token, 'base64url').toString();
  const { keys, commonPrefixes, next } = listKeys(bucket.sortedKeys, { prefix, delimiter, after, maxKeys });

  const shown =
    query.get('encoding-type') === 'url'
      ? (text: string) => encode(text).replaceAll('%2F', '/')
      : (text: string) => text;
  const body = toXml('ListBucketResult', {
    Name: bucketName,
    Prefix: shown(prefix),
    ...(delimiter === '' ? {} : { Delimiter: shown(delimiter) }),
    KeyCount: keys.length + commonPrefixes.length,
    MaxKeys: maxKeys,
    IsTruncated: next !== undefined,
    NextContinuationToken: next === undefined ? undefined : Buffer.from(next).toString('base64url'),
    Contents: keys.map((key) => {
      const { etag, sizeBytes, modifiedAt } = bucket.get(key);
      return { Key: shown(key), LastModified: modifiedAt, ETag: etag, Size: sizeBytes, StorageClass: 'STANDARD' };
    }),
    CommonPrefixes: commonPrefixes.map((each) => ({ Prefix: shown(each) })),
  });
  answerXml(response, body);
}
