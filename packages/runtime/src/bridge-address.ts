// Which addresses a bridge may have: checked by the binder when an instance is registered, by the router at each call.
import { BlockList, isIP } from 'node:net';
import { z } from 'zod';
import { ConfigError } from './errors.ts';

/** A set of networks, as `parseNetworks` read it. */
export interface Networks {
  includes(ip: string): boolean;
}

// The second IPv6 block of each kind is the IPv4 one behind a translator (NAT64, 6to4). IPv4-mapped IPv6 addresses
// (::ffff:0:0/96) need no rules of their own: BlockList applies those of IPv4 to them.
const REFUSED: readonly [reason: string, networks: readonly string[]][] = [
  ['a link-local address', ['169.254.0.0/16', 'fe80::/10', '64:ff9b::a9fe:0/112', '2002:a9fe::/32']],
  ['a multicast address', ['224.0.0.0/4', 'ff00::/8', '64:ff9b::e000:0/100', '2002:e000::/20']],
  ['an unspecified address', ['0.0.0.0/8', '::/128', '64:ff9b::/104', '2002::/24']],
  ['a broadcast address', ['255.255.255.255/32']],
];

const refused = REFUSED.map(([reason, networks]) => ({ reason, networks: toBlockList(networks) }));

/** True for an IPv4 or IPv6 address in its usual spelling, without brackets or zone. */
export function isIpLiteral(host: string): boolean {
  return isIP(host) !== 0 && !host.includes('%');
}

/**
 * The address that a host denotes by itself, in its usual spelling; null for a host name. `2130706433`, `0x7f.1` and
 * `[::1]` are addresses: that is how URLs, and so HTTP clients, read them.
 */
export function literalAddress(host: string): string | null {
  if (isIpLiteral(host)) return host;
  if (!/^[\w.:[\]-]+$/.test(host)) return null;
  try {
    const { hostname } = new URL(`http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}/`);
    const bare = hostname.replace(/^\[|\]$/g, '');
    return isIpLiteral(bare) ? bare : null;
  } catch {
    return null; // not even a host
  }
}

/**
 * Why a bridge may not have this address (`a link-local address`, …), or null if it may. Loopback and private
 * addresses may: bridges live there.
 * @param ip an address as `isIpLiteral` or `literalAddress` knows it; anything else is refused
 */
export function refuseAddress(ip: string, allowed: Networks): string | null {
  if (!isIpLiteral(ip)) return 'not an IP address';
  for (const { reason, networks } of refused) if (includes(networks, ip)) return reason;
  return allowed.includes(ip) ? null : 'outside BRIDGE_ALLOWED_NETWORKS';
}

/**
 * Reads comma-separated CIDRs (`10.0.0.0/8, fd00::/8`) or single addresses; an empty text means every address.
 * @throws ConfigError naming the entry that is no network
 */
export function parseNetworks(text: string): Networks {
  const entries = text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
  if (entries.length === 0) return { includes: () => true };
  const list = toBlockList(entries);
  return { includes: (ip) => includes(list, ip) };
}

/** The setting `BRIDGE_ALLOWED_NETWORKS` for a service's config. */
export const bridgeNetworks = () =>
  z
    .string()
    .default('')
    .transform((value, context) => {
      try {
        return parseNetworks(value);
      } catch (error) {
        context.addIssue({ code: 'custom', message: (error as Error).message });
        return z.NEVER;
      }
    })
    .describe('networks (CIDRs, comma-separated) in which bridges may live; empty: all but the refused ones');

function toBlockList(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = '', prefix, ...rest] = entry.split('/');
    const family = isIP(address);
    const bits = family === 4 ? 32 : 128;
    const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
    if (family === 0 || rest.length > 0 || !(length <= bits))
      throw new ConfigError(`${JSON.stringify(entry)} is not a network such as 10.0.0.0/8 or fd00::/8`);
    list.addSubnet(address, length, family === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

function includes(list: BlockList, ip: string): boolean {
  return list.check(ip, isIP(ip) === 6 ? 'ipv6' : 'ipv4');
}
