//! Settings that the kernel takes directly: clock, entropy, host name, loopback.

use rustix::fs::{Mode, OFlags, open};
use rustix::ioctl::{Setter, ioctl};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::time::{ClockId, Timespec, clock_settime};

use crate::failure::{Code, Failure, OrFail, Outcome};
use crate::requests::decode_base64;

/// Bytes of entropy taken from one request.
const MAX_ENTROPY: usize = 512;

/// Sets the wall clock.
pub fn set_clock(unix_time_ms: u64) -> Outcome<()> {
    let time = Timespec { tv_sec: (unix_time_ms / 1000) as i64, tv_nsec: ((unix_time_ms % 1000) * 1_000_000) as i64 };
    clock_settime(ClockId::Realtime, time).or_fail(Code::Internal, "setting the clock")
}

/// Sets the host name.
pub fn set_hostname(name: &str) -> Outcome<()> {
    rustix::system::sethostname(name.as_bytes()).or_fail(Code::InvalidArgument, "setting the host name")
}

/// `struct rand_pool_info` of linux/random.h.
#[repr(C)]
struct RandPoolInfo {
    entropy_bits: i32,
    bytes: i32,
    pool: [u8; MAX_ENTROPY],
}

/// Gives the kernel random bytes and credits them, then has it take them up at once.
pub fn add_entropy(base64: &str) -> Outcome<()> {
    const RNDADDENTROPY: u32 = 0x4008_5203;
    const RNDRESEEDCRNG: u32 = 0x5207;
    let bytes = decode_base64(base64)
        .filter(|bytes| bytes.len() <= MAX_ENTROPY)
        .ok_or_else(|| Failure::new(Code::InvalidArgument, "entropy is not base64 of at most 512 bytes"))?;
    let mut info =
        RandPoolInfo { entropy_bits: bytes.len() as i32 * 8, bytes: bytes.len() as i32, pool: [0; MAX_ENTROPY] };
    info.pool[..bytes.len()].copy_from_slice(&bytes);
    let device = open("/dev/urandom", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .or_fail(Code::Internal, "opening /dev/urandom")?;
    // SAFETY: RNDADDENTROPY reads a rand_pool_info whose `bytes` is within its pool.
    unsafe { ioctl(&device, Setter::<RNDADDENTROPY, _>::new(info)) }.or_fail(Code::Internal, "crediting entropy")?;
    // A kernel before 5.18 need not be ready for a reseed; the bytes are in the pool all the same.
    // SAFETY: RNDRESEEDCRNG takes no argument.
    let _ = unsafe { ioctl(&device, rustix::ioctl::NoArg::<RNDRESEEDCRNG>::new()) };
    Ok(())
}

/// `struct ifreq` of linux/if.h, with flags.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: i16,
    rest: [u8; 22],
}

/// Brings the loopback interface up.
pub fn bring_loopback_up() -> Outcome<()> {
    const SIOCSIFFLAGS: u32 = 0x8914;
    const IFF_UP: i16 = 1;
    let kind = SocketType::DGRAM;
    let socket = socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None)
        .or_fail(Code::Internal, "opening a socket")?;
    let mut request = InterfaceRequest { name: [0; 16], flags: IFF_UP, rest: [0; 22] };
    request.name[..2].copy_from_slice(b"lo");
    // SAFETY: SIOCSIFFLAGS reads an ifreq with a NUL-terminated name.
    unsafe { ioctl(&socket, Setter::<SIOCSIFFLAGS, _>::new(request)) }.or_fail(Code::Internal, "bringing lo up")
}
