import { BlockList, isIP, isIPv4 } from 'node:net';

/** Where a request came from, as far as proxies that are trusted say so. */
export class ClientAddresses {
  readonly #trusted = new BlockList();

  /** `trusted` are addresses or networks such as `10.1.0.0/16`. */
  constructor(trusted: readonly string[]) {
    for (const network of trusted) {
      const [address = '', prefix] = network.split('/');
      const family = isIPv4(address) ? 'ipv4' : 'ipv6';
      if (prefix === undefined) this.#trusted.addAddress(address, family);
      else this.#trusted.addSubnet(address, Number(prefix), family);
    }
  }

  /**
   * The nearest address that is no trusted proxy, read from the end of `X-Forwarded-For`: whatever stands before it is what a
   * stranger claims.
   */
  of(peer: string | undefined, forwardedFor: string | readonly string[] | undefined): string {
    let nearest = plain(peer ?? '');
    const claimed = [forwardedFor ?? []].flat().join(',').split(',').map((address) => plain(address.trim()));
    while (this.#isTrusted(nearest)) {
      const next = claimed.pop();
      if (next === undefined || isIP(next) === 0) break;
      nearest = next;
    }
    return nearest;
  }

  #isTrusted(address: string): boolean {
    return isIP(address) !== 0 && this.#trusted.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
  }
}

/** IPv4 in the clothes of IPv6 is IPv4. */
const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '');
