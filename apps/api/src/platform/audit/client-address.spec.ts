import { ClientAddresses } from './client-address.ts';

const addresses = new ClientAddresses(['10.0.0.0/8', '::1']);

it.each([
  ['a client itself', '192.0.2.7', undefined, '192.0.2.7'],
  ['a client that claims to be somebody else', '192.0.2.7', '198.51.100.1', '192.0.2.7'],
  ['a client behind a proxy', '10.0.0.1', '198.51.100.1', '198.51.100.1'],
  ['a client behind two proxies', '10.0.0.1', '198.51.100.1, 10.0.0.2', '198.51.100.1'],
  ['a client that makes up a longer way', '10.0.0.1', '1.2.3.4, 198.51.100.1, 10.0.0.2', '198.51.100.1'],
  ['a proxy that says nothing', '10.0.0.1', undefined, '10.0.0.1'],
  ['a proxy that says nonsense', '10.0.0.1', 'unknown', '10.0.0.1'],
  ['an IPv4 address that came over IPv6', '::ffff:10.0.0.1', '::ffff:198.51.100.1', '198.51.100.1'],
  ['a proxy on IPv6', '::1', '2001:db8::7', '2001:db8::7'],
  ['several headers', '10.0.0.1', ['1.2.3.4', '198.51.100.1'], '198.51.100.1'],
])('%s', (_title, peer, forwarded, expected) => {
  expect(addresses.of(peer, forwarded)).toBe(expected);
});

it('trusts nobody unless told', () => {
  expect(new ClientAddresses([]).of('127.0.0.1', '198.51.100.1')).toBe('127.0.0.1');
});
