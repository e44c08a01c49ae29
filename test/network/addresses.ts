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
