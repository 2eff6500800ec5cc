import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Bucket } from './bucket.ts';
import { handleBucket } from './bucket.routes.ts';
import { answerXml, type S3Exchange } from './exchange.ts';
import { S3Fault, toFault } from './fault.ts';
import type { Durability } from './files.ts';
import { handleObject } from './object.routes.ts';
import { decode, verifySignature, type Credentials } from './signature.ts';
import { toXml } from './xml.ts';

const MAX_KEY_BYTES = 1024;

export interface S3ServerOptions extends Credentials {
  readonly folder: string;
  readonly port: number;
  readonly durability: Durability;
}

/** The part of S3 that its SDKs use, on a local folder: for a machine that has no object store, not for sharing. */
export class S3Server {
  readonly #options: S3ServerOptions;
  readonly #server: Server;
  readonly #buckets = new Map<string, Bucket>();

  private constructor(options: S3ServerOptions) {
    this.#options = options;
    // Uploads of gigabytes take longer than Node's default for a whole request.
    this.#server = createServer({ requestTimeout: 0, keepAliveTimeout: 60_000 }, (request, response) => {
      this.#handle(request, response).catch((error: unknown) => fail(request, response, error));
    });
  }

  static async start(options: S3ServerOptions): Promise<S3Server> {
    const server = new S3Server(options);
    for (const name of await readdir(options.folder)) {
      server.#buckets.set(name, await Bucket.open(join(options.folder, name), options.durability));
    }
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject).listen(options.port, '127.0.0.1', resolve);
    });
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = request.method ?? 'GET';
    const [path = '/', search = ''] = (request.url ?? '/').split(/\?(.*)/s);
    const query = new URLSearchParams(search);
    const payloadHash = verifySignature({ method, path, query, headers: request.headers }, this.#options, new Date());
    const [, bucketName = '', ...segments] = path.split('/').map(decode);
    const exchange = { request, response, method, query, bucketName, key: segments.join('/'), payloadHash };

    if (bucketName === '') return this.#listBuckets(exchange);
    if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucketName)) throw new S3Fault('InvalidBucketName');
    if (exchange.key === '' && method === 'PUT') return this.#createBucket(exchange);
    const bucket = this.#buckets.get(bucketName);
    if (!bucket) throw new S3Fault('NoSuchBucket');
    if (exchange.key === '' && method === 'DELETE') return this.#deleteBucket(exchange, bucket);
    if (exchange.key === '') return handleBucket(bucket, exchange);
    if (Buffer.byteLength(exchange.key) > MAX_KEY_BYTES) throw new S3Fault('KeyTooLongError');
    return handleObject(bucket, exchange, (name) => this.#buckets.get(name));
  }

  #listBuckets({ method, response }: S3Exchange): void {
    if (method !== 'GET') throw new S3Fault('MethodNotAllowed');
    answerXml(
      response,
      toXml('ListAllMyBucketsResult', {
        Buckets: { Bucket: [...this.#buckets.keys()].sort().map((Name) => ({ Name })) },
      }),
    );
  }

  async #createBucket({ bucketName, response, request }: S3Exchange): Promise<void> {
    if (this.#buckets.has(bucketName)) throw new S3Fault('BucketAlreadyOwnedByYou');
    request.resume();
    const folder = join(this.#options.folder, bucketName);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    this.#buckets.set(bucketName, await Bucket.open(folder, this.#options.durability));
    response.writeHead(200, { location: `/${bucketName}`, 'content-length': 0 }).end();
  }

  async #deleteBucket({ bucketName, response }: S3Exchange, bucket: Bucket): Promise<void> {
    if (!bucket.isEmpty) throw new S3Fault('BucketNotEmpty');
    this.#buckets.delete(bucketName);
    await rm(bucket.folder, { recursive: true, force: true });
    response.writeHead(204).end();
  }
}

function fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  const fault = toFault(error);
  if (fault.code === 'InternalError' && !request.destroyed) console.error(error);
  if (response.headersSent) {
    // A cut connection is the only way left to say that the body is not whole.
    response.destroy();
    return;
  }
  request.resume();
  const empty = request.method === 'HEAD' || fault.status === 304;
  const body = empty ? '' : toXml('Error', { Code: fault.code, Message: fault.message });
  response.writeHead(fault.status, {
    ...(empty ? {} : { 'content-type': 'application/xml', 'content-length': Buffer.byteLength(body) }),
  });
  response.end(body);
}
