import { FetchAddressPolicy, isNetwork } from './address-policy.ts';

const strict = new FetchAddressPolicy({ allowPrivate: false, allowed: [] });

describe('FetchAddressPolicy', () => {
  it.each([
    '127.0.0.1', '127.8.9.1', '0.0.0.0', '10.1.2.3', '172.16.0.1', '172.31.255.255', '192.168.1.1', '169.254.169.254', '100.64.0.1', '198.18.0.1',
    '224.0.0.1', '255.255.255.255', '::', '::1', 'fe80::1', 'fe80::1%eth0', 'fc00::1', 'fd00:ec2::254', 'ff02::1',
    '::ffff:127.0.0.1', '::ffff:7f00:1', '::FFFF:10.0.0.1', '0:0:0:0:0:ffff:a9fe:a9fe', '64:ff9b::7f00:1', '64:ff9b::169.254.169.254', '2002:7f00:1::', '::127.0.0.1', '2001:db8::1',
    'localhost', '', '1.2.3', '0x7f.1',
  ])('refuses %s', (address) => {
    expect(strict.allows(address)).toBe(false);
  });

  it.each(['8.8.8.8', '172.32.0.1', '11.0.0.1', '100.128.0.1', '2606:4700::1111', '::ffff:8.8.8.8'])('allows %s', (address) => {
    expect(strict.allows(address)).toBe(true);
  });

  it('allows listed private addresses and no others', () => {
    const listed = new FetchAddressPolicy({ allowPrivate: false, allowed: ['10.1.0.0/16', '192.168.7.7', 'fd12::/16'] });
    expect(['10.1.2.3', '192.168.7.7', '::ffff:10.1.2.3', 'fd12::5'].map((address) => listed.allows(address))).toEqual([true, true, true, true]);
    expect(['10.2.0.1', '192.168.7.8', 'fd13::5', '127.0.0.1'].map((address) => listed.allows(address))).toEqual([false, false, false, false]);
  });

  it('allows every address when the operator said so, but still no names', () => {
    const open = new FetchAddressPolicy({ allowPrivate: true, allowed: [] });
    expect([open.allows('127.0.0.1'), open.allows('localhost')]).toEqual([true, false]);
  });
});

describe('isNetwork', () => {
  it.each([['10.0.0.0/8', true], ['10.0.0.1', true], ['fd00::/8', true], ['10.0.0.0/33', false], ['fd00::/129', false], ['10.0.0.0/x', false], ['example.org', false], ['10.0.0.0/8/9', false], ['', false]])(
    'says of %s: %s',
    (text, expected) => {
      expect(isNetwork(text)).toBe(expected);
    },
  );
});
