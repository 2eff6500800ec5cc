import { macAddressOf } from './machine-config.ts';

describe('macAddressOf', () => {
  it('gives each machine its own address, locally administered, the same for all time', () => {
    expect(macAddressOf('a')).toBe('02:ca:97:81:12:ca');
    expect(macAddressOf('a')).toBe(macAddressOf('a'));
    const addresses = Array.from({ length: 1_000 }, (_, index) => macAddressOf(`machine-${index}`));
    expect(new Set(addresses).size).toBe(1_000);
    for (const address of addresses) expect(address).toMatch(/^02(:[0-9a-f]{2}){5}$/);
  });
});
