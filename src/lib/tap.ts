/** Opening a tap (kernel's Documentation/networking/tuntap.rst). */
import { closeSync, constants, openSync } from "node:fs";
import { ioctl } from "./libc.ts";
import { inNetns } from "./netns.ts";

const TUNSETIFF = 0x4004_54ca;
const IFF_TAP = 0x0002;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
/** sizeof(struct ifreq) on 64-bit. */
const IFREQ_BYTES = 40;
const IFNAMSIZ = 16;

/**
 * Opens the existing tap `name` of the namespace at `netns`, with virtio headers. The caller owns the descriptor, which is
 * close-on-exec. Errors: `SystemCallError` (`EBUSY`: somebody has it open), those of open(2).
 */
export function openTap(netns: string, name: string): number {
  return inNetns(netns, () => {
    const fd = openSync("/dev/net/tun", constants.O_RDWR | constants.O_NONBLOCK | 0o2000000);
    try {
      const request = Buffer.alloc(IFREQ_BYTES);
      request.write(name, 0, IFNAMSIZ - 1, "latin1");
      request.writeUInt16LE(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, IFNAMSIZ);
      ioctl(fd, TUNSETIFF, request);
      return fd;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  });
}
