import { describe, expect, test } from '@jest/globals';
import { isIpLiteral, literalAddress, parseNetworks, refuseAddress } from './bridge-address.ts';

const anywhere = parseNetworks('');

describe('refuseAddress', () => {
  test.each([
    ['169.254.169.254', 'a link-local address'],
    ['::ffff:169.254.169.254', 'a link-local address'],
    ['::ffff:a9fe:a9fe', 'a link-local address'],
    ['64:ff9b::a9fe:a9fe', 'a link-local address'],
    ['2002:a9fe:a9fe::1', 'a link-local address'],
    ['fe80::1', 'a link-local address'],
    ['febf::1', 'a link-local address'],
    ['224.0.0.1', 'a multicast address'],
    ['239.255.255.255', 'a multicast address'],
    ['::ffff:224.0.0.1', 'a multicast address'],
    ['ff02::1', 'a multicast address'],
    ['0.0.0.0', 'an unspecified address'],
    ['::', 'an unspecified address'],
    ['::ffff:0.0.0.0', 'an unspecified address'],
    ['255.255.255.255', 'a broadcast address'],
    ['fe80::1%eth0', 'not an IP address'],
    ['localhost', 'not an IP address'],
  ])('%s is refused as %s', (ip, reason) => {
    expect(refuseAddress(ip, anywhere)).toBe(reason);
  });

  test.each([
    '127.0.0.1',
    '::1',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    'fd00::1',
    '8.8.8.8',
    '2001:db8::1',
    '::ffff:10.0.0.1',
  ])('%s is allowed: bridges live on loopback and private addresses too', (ip) => {
    expect(refuseAddress(ip, anywhere)).toBeNull();
  });

  test('a list of networks narrows what is allowed, and never widens it', () => {
    const allowed = parseNetworks('10.0.0.0/8, 192.168.7.7 ,fd00::/8,169.254.0.0/16');
    expect(refuseAddress('10.255.0.1', allowed)).toBeNull();
    expect(refuseAddress('::ffff:10.0.0.1', allowed)).toBeNull();
    expect(refuseAddress('192.168.7.7', allowed)).toBeNull();
    expect(refuseAddress('fd12::1', allowed)).toBeNull();
    expect(refuseAddress('192.168.7.8', allowed)).toBe('outside BRIDGE_ALLOWED_NETWORKS');
    expect(refuseAddress('127.0.0.1', allowed)).toBe('outside BRIDGE_ALLOWED_NETWORKS');
    expect(refuseAddress('::1', allowed)).toBe('outside BRIDGE_ALLOWED_NETWORKS');
    expect(refuseAddress('169.254.1.1', allowed)).toBe('a link-local address');
  });
});

describe('literalAddress', () => {
  test.each([
    ['127.0.0.1', '127.0.0.1'],
    ['2852039166', '169.254.169.254'],
    ['0xa9fea9fe', '169.254.169.254'],
    ['0xA9.254.0251.0376', '169.254.169.254'],
    ['169.254.43518', '169.254.169.254'],
    ['0', '0.0.0.0'],
    ['127.1', '127.0.0.1'],
    ['[::1]', '::1'],
    ['[fe80::1]', 'fe80::1'],
    ['::FFFF:169.254.169.254', '::FFFF:169.254.169.254'],
    ['127.0.0.1.', '127.0.0.1'],
  ])('%s denotes %s', (host, address) => {
    expect(literalAddress(host)).toBe(address);
  });

  test.each([
    'bridge.example.com',
    'localhost',
    'my_bridge-1',
    '',
    'a b',
    '127.0.0.1/x',
    'user@127.0.0.1',
    'fe80::1%eth0',
    ':::',
  ])('%j is no address', (host) => {
    expect(literalAddress(host)).toBeNull();
  });
});

test('isIpLiteral knows addresses in their usual spelling only', () => {
  expect(['1.2.3.4', '::1'].every(isIpLiteral)).toBe(true);
  expect(['1.2.3', '[::1]', 'fe80::1%1', 'host', ''].some(isIpLiteral)).toBe(false);
});

test.each(['10.0.0.0/33', '10.0.0/8', 'fd00::/129', 'somewhere', '10.0.0.0/8/8', '10.0.0.0/', '10.0.0.0/-1'])(
  '%s is not taken for a network',
  (text) => {
    expect(() => parseNetworks(text)).toThrow(`"${text}" is not a network`);
  },
);
