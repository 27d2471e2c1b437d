import { isIPv6 } from 'node:net';

const groupsPerAddress = 8;
const networkGroups = 4;

/**
 * What a limit per address counts by: an IPv4 address, or the /64 network of an IPv6 address, since one household has
 * all of its addresses.
 */
export function addressNetwork(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Math.max(0, groupsPerAddress - before.length - after.length);
  const groups = [...before, ...Array.from({ length: zeros }, () => '0'), ...after];
  const network = groups.slice(0, networkGroups).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(':')}::/64`;
}
