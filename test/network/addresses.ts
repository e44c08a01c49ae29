/** The addresses of the world. */
export const POOL = "172.30.5.0/24";
/** Of the host, on its way to the internet. */
export const HOST = "198.51.100.2";
export const ROUTER = "198.51.100.1";
export const SITE = "203.0.113.10";
export const OTHER_SITE = "203.0.113.20";
export const NAMESERVER = "203.0.113.53";
export const PRIVATE_HOST = "10.1.2.3";
export const LAN_HOST = "192.168.7.7";
export const SHARED_HOST = "100.64.1.1";
export const METADATA = "169.254.169.254";
/** Those that the internet has. */
export const INTERNET: readonly string[] = [
  SITE,
  OTHER_SITE,
  NAMESERVER,
  PRIVATE_HOST,
  LAN_HOST,
  SHARED_HOST,
  METADATA,
];

export const POOL6 = "fd30:5::/64";
/** The IPv6 address of the guest that has 172.30.5.`last`. */
export function guest6(last: number): string {
  return `fd30:5::ac1e:5${last.toString(16).padStart(2, "0")}`;
}
export const GATEWAY6 = "fd30:5::1";
export const HOST6 = "2001:db8:1::2";
export const ROUTER6 = "2001:db8:1::1";
export const SITE6 = "2001:db8:2::10";
export const OTHER_SITE6 = "2001:db8:2::20";
export const PRIVATE_HOST6 = "fd99:1::3";
export const SITE_LOCAL_HOST6 = "fec0::7";
export const METADATA6 = "fd00:ec2::254";
/** The private host's IPv4 address inside of an IPv6 one. */
export const EMBEDDED6 = "64:ff9b::a01:203";
/** Those that the internet has, too, when it speaks IPv6. */
export const INTERNET6: readonly string[] = [
  SITE6,
  OTHER_SITE6,
  PRIVATE_HOST6,
  SITE_LOCAL_HOST6,
  METADATA6,
  EMBEDDED6,
];
