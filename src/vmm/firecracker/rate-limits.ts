/** What one guest may take of the host: the rates of its disks and cards, and of the devices that cost only the host. */
import type { Rate } from "../../model/machine.ts";

/** Firecracker's token bucket: `size` tokens, full again after `refill_time` milliseconds. */
export interface TokenBucket {
  readonly size: number;
  readonly refill_time: number;
  readonly one_time_burst?: number;
}

/** Firecracker's rate limiter: a bucket for bytes, a bucket for operations. */
export interface RateLimiter {
  readonly bandwidth?: TokenBucket;
  readonly ops?: TokenBucket;
}

/**
 * A bucket of one second's worth, full again after one second. Tokens come back in proportion to time, so that this is the rate to the
 * last byte. A bucket of less than 100 ms' worth would give less: who found it empty looks again only then, and what came meanwhile
 * above its size is lost (REFILL_TIMER_DURATION in Firecracker's rate_limiter/mod.rs).
 */
export function limiterOf(rate: Rate): RateLimiter {
  return {
    ...(rate.bytesPerSecond === undefined ? {} : { bandwidth: perSecond(rate.bytesPerSecond) }),
    ...(rate.opsPerSecond === undefined ? {} : { ops: perSecond(rate.opsPerSecond) }),
  };
}

/** The same in place of a limiter that there may be already: an empty bucket takes the old one away (patch_rate_limiters). */
export function limiterInPlace(rate: Rate = {}): RateLimiter {
  return { bandwidth: NO_BUCKET, ops: NO_BUCKET, ...limiterOf(rate) };
}

const NO_BUCKET: TokenBucket = { size: 0, refill_time: 0 };

function perSecond(tokens: number): TokenBucket {
  return { size: tokens, refill_time: 1000 };
}

/** Bytes of the host's random numbers. A guest needs some hundred at its start, and then hardly any. */
export const ENTROPY_RATE: TokenBucket = { size: 64 * 1024, refill_time: 100, one_time_burst: 256 * 1024 };

/** Bytes of the serial console: above what a kernel says, below what would wear out a disk. More is dropped. */
export const SERIAL_RATE: TokenBucket = { size: 256 * 1024, refill_time: 1000, one_time_burst: 1024 * 1024 };
