import { link } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Bucket, ObjectRecord, WriteConditions } from './bucket.ts';
import { CHECKSUM_ALGORITHMS, checksumHeader, type Checksums } from './checksum.ts';
import { S3Fault } from './fault.ts';
import { receiveBody, receiveText } from './intake.ts';
import { parseRange } from './range.ts';
import { answerXml, type S3Exchange } from './exchange.ts';
import { decode, encode } from './signature.ts';
import { Upload } from './upload.ts';
import { insidesOf, textsOf, toXml } from './xml.ts';

/** Requests about one object, or about a multipart upload that is to become it. */
export async function handleObject(
  bucket: Bucket,
  exchange: S3Exchange,
  findBucket: (name: string) => Bucket | undefined,
): Promise<void> {
  const { method, query, request, response, key } = exchange;
  if (query.has('uploadId')) return handleUpload(bucket, exchange);
  if (method === 'POST' && query.has('uploads')) {
    request.resume();
    const upload = await Upload.create(bucket, key, keptHeaders(request));
    return answerXml(
      response,
      toXml('InitiateMultipartUploadResult', { Bucket: exchange.bucketName, Key: key, UploadId: upload.id }),
    );
  }
  if (method === 'PUT' && request.headers['x-amz-copy-source'] !== undefined) return copy(bucket, exchange, findBucket);
  if (method === 'PUT') return put(bucket, exchange);
  if (method === 'GET' || method === 'HEAD') return get(bucket, exchange);
  if (method === 'DELETE') {
    await bucket.delete(key);
    response.writeHead(204).end();
    return;
  }
  throw new S3Fault('MethodNotAllowed');
}

async function put(bucket: Bucket, { request, response, key, payloadHash }: S3Exchange): Promise<void> {
  const { file, path } = bucket.newDataFile();
  const { md5, sizeBytes, checksums } = await receiveBody(request, payloadHash, path, bucket.durability);
  const etag = `"${md5.toString('hex')}"`;
  const record: ObjectRecord = {
    key,
    extents: [{ file, sizeBytes }],
    sizeBytes,
    etag,
    modifiedAt: new Date().toISOString(),
    headers: keptHeaders(request),
    checksums,
  };
  await bucket.commit(record, writeConditions(request));
  response.writeHead(200, { etag, ...checksumHeaders(checksums), 'content-length': 0 }).end();
}

async function get(bucket: Bucket, { request, response, method, query, key }: S3Exchange): Promise<void> {
  const record = bucket.get(key);
  const { etag, sizeBytes } = record;
  if (request.headers['if-match'] !== undefined && request.headers['if-match'] !== etag)
    throw new S3Fault('PreconditionFailed');
  if (request.headers['if-none-match'] === etag) throw new S3Fault('NotModified');

  const range = parseRange(request.headers.range, sizeBytes);
  if (range === 'Unsatisfiable') {
    response.setHeader('content-range', `bytes */${sizeBytes}`);
    throw new S3Fault('InvalidRange');
  }
  const { first, last } = range ?? { first: 0, last: sizeBytes - 1 };
  const headers: Record<string, string> = {
    'content-type': 'application/octet-stream',
    ...record.headers,
    etag,
    'last-modified': new Date(record.modifiedAt).toUTCString(),
    'accept-ranges': 'bytes',
    'content-length': String(last - first + 1),
    ...(range ? { 'content-range': `bytes ${first}-${last}/${sizeBytes}` } : {}),
    // A checksum of the whole would be taken for one of the range.
    ...(request.headers['x-amz-checksum-mode'] !== undefined && !range ? checksumHeaders(record.checksums) : {}),
  };
  for (const name of ['content-type', 'content-disposition', 'cache-control', 'content-encoding']) {
    const override = query.get(`response-${name}`);
    if (override !== null) headers[name] = override;
  }
  if (method === 'HEAD') {
    response.writeHead(range ? 206 : 200, headers).end();
    return;
  }
  const bytes = await bucket.read(record, first, last);
  response.writeHead(range ? 206 : 200, headers);
  await pipeline(bytes, response);
}

async function copy(
  bucket: Bucket,
  { request, response, key }: S3Exchange,
  findBucket: (name: string) => Bucket | undefined,
): Promise<void> {
  request.resume();
  const source = decode(String(request.headers['x-amz-copy-source'])).replace(/^\//, '');
  const slash = source.indexOf('/');
  const sourceBucket = findBucket(source.slice(0, slash));
  if (!sourceBucket) throw new S3Fault('NoSuchBucket');
  const original = sourceBucket.get(source.slice(slash + 1));
  const extents: { file: string; sizeBytes: number }[] = [];
  for (const { file, sizeBytes } of original.extents) {
    const { file: copied, path } = bucket.newDataFile();
    // Data files never change, so two objects may share the bytes.
    await link(sourceBucket.pathOf(file), path);
    extents.push({ file: copied, sizeBytes });
  }
  const replace = request.headers['x-amz-metadata-directive'] === 'REPLACE';
  const modifiedAt = new Date().toISOString();
  const { uploadId: _ofTheOriginal, ...content } = original;
  await bucket.commit(
    { ...content, key, extents, modifiedAt, headers: replace ? keptHeaders(request) : original.headers },
    writeConditions(request),
  );
  answerXml(response, toXml('CopyObjectResult', { ETag: original.etag, LastModified: modifiedAt }));
}

async function handleUpload(bucket: Bucket, exchange: S3Exchange): Promise<void> {
  const { method, query, request, response, key, payloadHash, bucketName } = exchange;
  const uploadId = query.get('uploadId') ?? '';
  const upload = await Upload.find(bucket, key, uploadId);
  if (!upload) {
    const completed = bucket.find(key);
    // The answer to the first completion was lost, and the client asks again.
    if (method === 'POST' && completed?.uploadId === uploadId) return answerCompleted(exchange, completed);
    throw new S3Fault('NoSuchUpload');
  }
  switch (method) {
    case 'PUT': {
      if (request.headers['x-amz-copy-source'] !== undefined)
        throw new S3Fault('NotImplemented', 'UploadPartCopy is not supported');
      const part = await upload.putPart(Number(query.get('partNumber')), request, payloadHash);
      response.writeHead(200, { etag: `"${part.md5}"`, ...checksumHeaders(part.checksums), 'content-length': 0 }).end();
      return;
    }
    case 'GET': {
      const parts = (await upload.parts()).map(({ number, md5, sizeBytes }) => ({
        PartNumber: number,
        ETag: `"${md5}"`,
        Size: sizeBytes,
      }));
      return answerXml(
        response,
        toXml('ListPartsResult', { Bucket: bucketName, Key: key, UploadId: uploadId, Part: parts }),
      );
    }
    case 'DELETE':
      await upload.abort();
      response.writeHead(204).end();
      return;
    case 'POST': {
      const wanted = insidesOf(await receiveText(request), 'Part').map((part) => ({
        number: Number(textsOf(part, 'PartNumber')[0]),
        etag: textsOf(part, 'ETag')[0] ?? '',
      }));
      return answerCompleted(exchange, await upload.complete(wanted, writeConditions(request)));
    }
    default:
      throw new S3Fault('MethodNotAllowed');
  }
}

function answerCompleted({ response, bucketName, key }: S3Exchange, { etag, checksums }: ObjectRecord): void {
  const named = Object.fromEntries(
    Object.entries(checksums).map(([algorithm, value]) => [`Checksum${algorithm}`, value]),
  );
  const result = { Location: `/${bucketName}/${encode(key)}`, Bucket: bucketName, Key: key, ETag: etag, ...named };
  answerXml(response, toXml('CompleteMultipartUploadResult', result));
}

const writeConditions = ({ headers }: IncomingMessage): WriteConditions => ({
  ifMatch: headers['if-match'],
  ifNoneMatch: headers['if-none-match'],
});

const KEPT = /^(content-type|content-disposition|content-language|cache-control|x-amz-meta-.+)$/;

function keptHeaders({ headers }: IncomingMessage): Record<string, string> {
  const kept = Object.entries(headers).filter(([name]) => KEPT.test(name));
  const encoding = String(headers['content-encoding'] ?? '')
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '' && each !== 'aws-chunked');
  if (encoding.length > 0) kept.push(['content-encoding', encoding.join(',')]);
  return Object.fromEntries(kept.map(([name, value]) => [name, [value ?? ''].flat().join(',')]));
}

function checksumHeaders(checksums: Checksums): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const value = checksums[algorithm];
    if (value === undefined) continue;
    headers[checksumHeader(algorithm)] = value;
    headers['x-amz-checksum-type'] = value.includes('-') ? 'COMPOSITE' : 'FULL_OBJECT';
  }
  return headers;
}
