import { BlockList, isIP, isIPv4 } from 'node:net';

/**
 * Addresses no image is fetched from unless the operator says so: they lead into the operator's own network, among them
 * the metadata services of clouds (169.254.169.254, fd00:ec2::254).
 * Sources: RFC 6890 and the IANA special-purpose address registries; RFC 6052 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo).
 */
const PRIVATE: readonly string[] = [
  '0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24',
  '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4',
  '::/96', '64:ff9b::/96', '64:ff9b:1::/48', '100::/64', '2001::/32', '2001:db8::/32', '2002::/16', 'fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8',
];

/** Which addresses images may be fetched from. */
export class FetchAddressPolicy {
  readonly #private = blockListOf(PRIVATE);
  readonly #allowed: BlockList;
  readonly #allowPrivate: boolean;

  /** `allowed` are addresses or networks (`10.1.2.3`, `10.1.0.0/16`) that are fetched from although they are private. */
  constructor(options: { readonly allowPrivate: boolean; readonly allowed: readonly string[] }) {
    this.#allowPrivate = options.allowPrivate;
    this.#allowed = blockListOf(options.allowed);
  }

  /** `address` is a literal IPv4 or IPv6 address. */
  allows(address: string): boolean {
    const plain = unmapped(address.replace(/%.*$/, ''));
    if (isIP(plain) === 0) return false;
    const family = isIPv4(plain) ? 'ipv4' : 'ipv6';
    return this.#allowPrivate || !this.#private.check(plain, family) || this.#allowed.check(plain, family);
  }
}

/** Whether the text is an address, or a network in CIDR notation. */
export function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128));
}

function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = isIPv4(address) ? 'ipv4' : 'ipv6';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list;
}

/** An IPv4 address in IPv6 clothes (`::ffff:10.0.0.1`, also written `::ffff:a00:1`) is judged as IPv4. */
function unmapped(address: string): string {
  if (isIP(address) !== 6) return address;
  // The URL parser knows every way to write an IPv6 address and gives one back.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const match = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical);
  if (!match) return canonical;
  const [high, low] = [parseInt(match[1] ?? '', 16), parseInt(match[2] ?? '', 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}
