import { isIPv6 } from 'node:net';

/** Where the swap server is: an address, since nothing can be looked up while a machine waits for a page. */
export interface RedisAddress {
  /** A path beginning with a slash is a unix socket, whose port does not matter. */
  readonly host: string;
  readonly port: number;
  readonly username?: string;
  readonly password?: string;
  readonly database: number;
}

/** The server cannot be used for swapping; the message says why. */
export class RedisUnsuitable extends Error {
  override readonly name = 'RedisUnsuitable';
}

const DEFAULT_PORT = 6379;

/**
 * Reads a `redis://` or `unix://` URL; `lookUp` turns its host's name into an address. Throws RedisUnsuitable, also for `rediss://`: TLS
 * would need the machine's own thread, which waits.
 */
export async function redisAddress(url: string, lookUp: (host: string) => Promise<string>): Promise<RedisAddress> {
  const parsed = URL.parse(url);
  if (!parsed || (parsed.protocol !== 'redis:' && parsed.protocol !== 'unix:')) throw new RedisUnsuitable('pages can be swapped to redis:// and unix:// URLs only');
  const credentials = {
    ...(parsed.username === '' ? {} : { username: decodeURIComponent(parsed.username) }),
    ...(parsed.password === '' ? {} : { password: decodeURIComponent(parsed.password) }),
  };
  if (parsed.protocol === 'unix:') return { host: decodeURIComponent(parsed.pathname), port: 0, database: Number(parsed.searchParams.get('db') ?? 0), ...credentials };
  const database = Number(parsed.pathname.slice(1) || 0);
  if (!Number.isInteger(database)) throw new RedisUnsuitable('the URL’s path is no database number');
  const host = await lookUp(parsed.hostname.replace(/^\[|\]$/g, ''));
  return { host, port: Number(parsed.port) || DEFAULT_PORT, database, ...credentials };
}

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const LONGEST_PATH = 107;

/** As the kernel wants it: family and bytes of a sockaddr. Source: unix(7), ip(7), ipv6(7). */
export function socketAddress({ host, port }: RedisAddress): { readonly family: number; readonly bytes: Uint8Array } {
  if (host.startsWith('/')) {
    const path = Buffer.from(host);
    if (path.byteLength > LONGEST_PATH) throw new RedisUnsuitable('the path of the unix socket is too long');
    return { family: AF_UNIX, bytes: Buffer.concat([family(AF_UNIX), path, Buffer.alloc(1)]) };
  }
  const number = Buffer.from([port >> 8, port & 0xff]);
  if (isIPv6(host)) return { family: AF_INET6, bytes: Buffer.concat([family(AF_INET6), number, Buffer.alloc(4), ipv6Bytes(host), Buffer.alloc(4)]) };
  return { family: AF_INET, bytes: Buffer.concat([family(AF_INET), number, Buffer.from(host.split('.').map(Number)), Buffer.alloc(8)]) };
}

const family = (number: number): Buffer => Buffer.from([number, 0]);

/** An address with `::` and perhaps an IPv4 tail, as 16 bytes. Source: RFC 4291, 2.2. */
function ipv6Bytes(host: string): Buffer {
  const hex = host.replace(/%.*$/, '').replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts: string[]) => {
    const [a, b, c, d] = parts.slice(0, 4).map(Number) as [number, number, number, number];
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [head = '', tail] = hex.split('::');
  const words = (text: string | undefined): number[] => (text ? text.split(':').map((word) => Number.parseInt(word, 16)) : []);
  const [before, after] = [words(head), words(tail)];
  const all = tail === undefined ? before : [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 0xff]));
}
