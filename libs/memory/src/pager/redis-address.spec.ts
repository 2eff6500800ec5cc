import { redisAddress, RedisUnsuitable, socketAddress } from './redis-address.ts';

const lookUp = (host: string): Promise<string> => Promise.resolve(host === 'cache.example' ? '10.1.2.3' : host);

describe('the swap server’s address', () => {
  it.each([
    ['redis://127.0.0.1:6380', { host: '127.0.0.1', port: 6380, database: 0 }],
    ['redis://cache.example/3', { host: '10.1.2.3', port: 6379, database: 3 }],
    ['redis://me:p%40ss@[::1]:7000', { host: '::1', port: 7000, database: 0, username: 'me', password: 'p@ss' }],
    ['unix:///run/redis.sock?db=2', { host: '/run/redis.sock', port: 0, database: 2 }],
  ])('of %s', async (url, expected) => {
    expect(await redisAddress(url, lookUp)).toEqual(expected);
  });

  it.each(['rediss://127.0.0.1', 'http://127.0.0.1', 'nonsense', 'redis://127.0.0.1/abc'])('%s is refused', async (url) => {
    await expect(redisAddress(url, lookUp)).rejects.toThrow(RedisUnsuitable);
  });

  it.each([
    ['127.0.0.1', 6379, '020018eb7f0000010000000000000000'],
    ['::1', 6379, `0a0018eb00000000${'00'.repeat(15)}0100000000`],
    ['fe80::1:2', 1, `0a00000100000000fe80${'00'.repeat(10)}0001000200000000`],
    ['::ffff:1.2.3.4', 1, `0a00000100000000${'00'.repeat(10)}ffff0102030400000000`],
    ['/tmp/s', 0, '01002f746d702f7300'],
  ])('%s as the kernel wants it', (host, port, hex) => {
    expect(Buffer.from(socketAddress({ host, port, database: 0 }).bytes).toString('hex')).toBe(hex);
  });
});
