import { BlockList, isIP } from 'node:net';

/** The proxies whose forwarding header is trusted. */
export type TrustedProxies = BlockList;

/**
 * The header in which proxies append the address of their client. One only: a proxy that sets one of them passes the
 * other on as it came from the client.
 */
export const forwardedHeaders = ['x-forwarded-for', 'forwarded'] as const;
export type ForwardedHeader = (typeof forwardedHeaders)[number];

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
 * The client's address: the socket's own, or, if that is a trusted proxy, the last one in the header that is not a
 * trusted proxy. Addresses further left are as asserted by the client. Where a proxy hides an address (`unknown`,
 * `_hidden`), it is the address of that proxy.
 *
 * @param forwarded all lines of the header, joined by commas.
 */
export function clientAddress(
  socketAddress: string,
  forwarded: string,
  header: ForwardedHeader,
  trusted: TrustedProxies,
): string {
  let address = unmapAddress(socketAddress);
  const hops = header === 'forwarded' ? forwardedFor(forwarded) : forwarded.split(',');
  while (isTrusted(address, trusted)) {
    const hop = unmapAddress(withoutPort(hops.pop()?.trim() ?? ''));
    if (isIP(hop) === 0) break;
    address = hop;
  }
  return address;
}

function isTrusted(address: string, trusted: TrustedProxies): boolean {
  const family = isIP(address);
  return family !== 0 && trusted.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** `203.0.113.7:51234` → `203.0.113.7`, `[2001:db8::7]:51234` → `2001:db8::7`. An IPv6 address without brackets has none. */
function withoutPort(node: string): string {
  const [, ipv6, ipv4] = /^(?:\[([^\]]*)\]|([^:]+))(?::\w+)?$/u.exec(node) ?? [];
  return ipv6 ?? ipv4 ?? node;
}

/** The `for` parameter of each element of a `Forwarded` header (RFC 7239); '' where there is none. */
function forwardedFor(header: string): string[] {
  return splitFromRight(header, ',').map((element) => {
    const parameters = splitFromRight(element, ';').map(
      (parameter) => /^\s*for\s*=(.*)$/isu.exec(parameter)?.[1],
    );
    return unquote(parameters.find((value) => value !== undefined)?.trim() ?? '');
  });
}

/**
 * Splits at separators outside quotes, reading from the right: elements appended by proxies are well-formed, and a quote
 * that the client left open must not swallow them.
 */
function splitFromRight(value: string, separator: string): string[] {
  const parts: string[] = [];
  let end = value.length;
  let isQuoted = false;
  for (let at = value.length - 1; at >= 0; at -= 1) {
    if (value[at] === '"' && !isEscaped(value, at)) isQuoted = !isQuoted;
    if (value[at] !== separator || isQuoted) continue;
    parts.push(value.slice(at + 1, end));
    end = at;
  }
  parts.push(value.slice(0, end));
  return parts.toReversed();
}

/** Whether an odd number of backslashes precedes this character. */
function isEscaped(value: string, at: number): boolean {
  let before = at;
  while (value[before - 1] === '\\') before -= 1;
  return (at - before) % 2 === 1;
}

function unquote(value: string): string {
  return value.startsWith('"') && value.endsWith('"') && value.length > 1
    ? value.slice(1, -1).replaceAll(/\\(.)/gsu, '$1')
    : value;
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
