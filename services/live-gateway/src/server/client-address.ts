import { BlockList, isIP } from 'node:net';

/** The proxies whose `X-Forwarded-For` is trusted. */
export type TrustedProxies = BlockList;

/**
 * Parses `10.0.0.0/8,192.0.2.7,fd00::/8`; an empty string trusts no proxy.
 * @returns an error message if an entry is neither an address nor a network.
 */
export function parseTrustedProxies(value: string): TrustedProxies | string {
  const proxies = new BlockList();
  for (const entry of value.split(',').map((part) => part.trim())) {
    if (entry === '') continue;
    const [address = '', bits] = entry.split('/', 2);
    const family = isIP(address);
    const maxBits = family === 4 ? 32 : 128;
    if (family === 0 || (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= maxBits))) {
      return `${JSON.stringify(entry)} is neither an IP address nor a network such as 10.0.0.0/8`;
    }
    proxies.addSubnet(address, bits === undefined ? maxBits : Number(bits), family === 4 ? 'ipv4' : 'ipv6');
  }
  return proxies;
}

/**
 * The client's address: the socket's own, or, if that is a trusted proxy, the last one in `X-Forwarded-For` that is not
 * a trusted proxy. Addresses further left are as asserted by the client.
 */
export function clientAddress(socketAddress: string, forwardedFor: string, trusted: TrustedProxies): string {
  let address = unmapAddress(socketAddress);
  const hops = forwardedFor.split(',').map((hop) => unmapAddress(hop.trim()));
  while (isTrusted(address, trusted)) {
    const hop = hops.pop();
    if (hop === undefined || isIP(hop) === 0) break;
    address = hop;
  }
  return address;
}

function isTrusted(address: string, trusted: TrustedProxies): boolean {
  const family = isIP(address);
  return family !== 0 && trusted.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** Converts an IPv4-mapped IPv6 address (`::ffff:192.0.2.1`, long form too) to IPv4. */
function unmapAddress(address: string): string {
  const mapped = /^(?:::|(?:0{1,4}:){5})ffff:(.+)$/i.exec(address)?.[1];
  if (mapped === undefined) return address;
  if (isIP(mapped) === 4) return mapped;
  const groups = /^([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(mapped);
  if (groups === null) return address;
  const [high, low] = [parseInt(groups[1] ?? '', 16), parseInt(groups[2] ?? '', 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}
