/** What one guest may take of the host by way of devices that cost only the host: fences against what goes wrong. */

/** Firecracker's token bucket: `size` tokens, full again after `refill_time` milliseconds. */
export interface TokenBucket {
  readonly size: number;
  readonly refill_time: number;
  readonly one_time_burst?: number;
}

/** Bytes of the host's random numbers. A guest needs some hundred at its start, and then hardly any. */
export const ENTROPY_RATE: TokenBucket = { size: 64 * 1024, refill_time: 100, one_time_burst: 256 * 1024 };

/** Bytes of the serial console: above what a kernel says, below what would wear out a disk. More is dropped. */
export const SERIAL_RATE: TokenBucket = { size: 256 * 1024, refill_time: 1000, one_time_burst: 1024 * 1024 };
