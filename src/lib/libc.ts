/** The few libc calls that Bun has no API for, with errno turned into an Error that carries its name. */
import { dlopen, ptr, read } from "bun:ffi";
import { getSystemErrorName } from "node:util";

const { symbols } = dlopen("libc.so.6", {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  fallocate: { args: ["i32", "i32", "i64", "i64"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
  listen: { args: ["i32", "i32"], returns: "i32" },
  lseek: { args: ["i32", "i64", "i32"], returns: "i64" },
  memfd_create: { args: ["ptr", "u32"], returns: "i32" },
  preadv2: { args: ["i32", "ptr", "i32", "i64", "i32"], returns: "i64" },
  setns: { args: ["i32", "i32"], returns: "i32" },
  ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" },
  syscall: { args: ["i64", "i64", "i64", "i64", "i64"], returns: "i64" },
  __errno_location: { args: [], returns: "ptr" },
});

/** A failed system call. `code` is the errno's name, as in Node's own errors. */
export class SystemCallError extends Error {
  override readonly name = "SystemCallError";
  readonly code: string;

  constructor(call: string, code: string) {
    super(`${call}: ${code}`);
    this.code = code;
  }
}

/** socket(2). The caller owns the descriptor. */
export function socket(domain: number, type: number, protocol: number): number {
  return checked("socket", symbols.socket(domain, type, protocol));
}

/** bind(2); `address` is a whole `struct sockaddr`. */
export function bind(fd: number, address: Uint8Array): void {
  checked("bind", symbols.bind(fd, address, address.byteLength));
}

/** listen(2). */
export function listen(fd: number, backlog: number): void {
  checked("listen", symbols.listen(fd, backlog));
}

/** FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE (linux/falloc.h). */
const PUNCH_HOLE = 0x01 | 0x02;

/** fallocate(2): the first `bytes` of a file become a hole, which reads as zeros. `EOPNOTSUPP`: this file system has none. */
export function punchHole(fd: number, bytes: number): void {
  checked("fallocate", symbols.fallocate(fd, PUNCH_HOLE, 0, bytes));
}

/** flock(2). `EAGAIN`: another holds the lock, and `operation` asked not to wait. */
export function flock(fd: number, operation: number): void {
  checked("flock", symbols.flock(fd, operation));
}

/** lseek(2) with an offset below 2^53. `ENXIO`: SEEK_DATA beyond the last data. */
export function lseek(fd: number, offset: number, whence: number): number {
  return checked("lseek", Number(symbols.lseek(fd, offset, whence)));
}

const MFD_CLOEXEC = 1;

/** memfd_create(2); close-on-exec. The caller owns the descriptor. */
export function memfdCreate(name: string): number {
  return checked("memfd_create", symbols.memfd_create(Buffer.from(`${name}\0`), MFD_CLOEXEC));
}

/** RWF_NOWAIT (linux/fs.h). */
const NOWAIT = 0x08;

/**
 * preadv2(2) of what is in memory already: fills the front of `into` and returns with how much, 0 at the end of the file. `EAGAIN`:
 * it would have to wait for a device; `EOPNOTSUPP`: this file system cannot tell.
 */
export function readCached(fd: number, into: Uint8Array, offset: number): number {
  const iovec = BigUint64Array.of(BigInt(ptr(into)), BigInt(into.byteLength));
  return checked("preadv2", Number(symbols.preadv2(fd, iovec, 1, offset, NOWAIT)));
}

const CLONE_NEWNET = 0x4000_0000;

/** setns(2) into a network namespace: moves the calling thread only. `EPERM`, `EINVAL` (no network namespace). */
export function setNetns(fd: number): void {
  checked("setns", symbols.setns(fd, CLONE_NEWNET));
}

/** ioctl(2) whose argument is a struct, a pointer to an integer, or the integer itself. */
export function ioctl(fd: number, request: number, argument: Uint8Array | number): void {
  checked("ioctl", symbols.ioctl(fd, request, argument));
}

const SYS_PIDFD_SEND_SIGNAL = 424;
const SYS_PIDFD_OPEN = 434;

/** pidfd_open(2), Linux 5.3; close-on-exec. The caller owns the descriptor. `ESRCH`: no such process. */
export function pidfdOpen(pid: number): number {
  return checked("pidfd_open", Number(symbols.syscall(SYS_PIDFD_OPEN, pid, 0, 0, 0)));
}

/** pidfd_send_signal(2), Linux 5.1. `ESRCH`: the process has ended. */
export function pidfdSendSignal(pidfd: number, signal: number): void {
  checked("pidfd_send_signal", Number(symbols.syscall(SYS_PIDFD_SEND_SIGNAL, pidfd, signal, 0, 0)));
}

const SYS_PIDFD_GETFD = 438;

/** pidfd_getfd(2), Linux 5.6: a copy of another process's descriptor, close-on-exec and the caller's. `EPERM`, `EBADF`, `ESRCH`. */
export function pidfdGetfd(pidfd: number, fd: number): number {
  return checked("pidfd_getfd", Number(symbols.syscall(SYS_PIDFD_GETFD, pidfd, fd, 0, 0)));
}

function checked(call: string, result: number): number {
  if (result !== -1) return result;
  // oxlint-disable-next-line eslint/no-underscore-dangle -- glibc's own name (errno(3))
  const location = symbols.__errno_location();
  const errno = location === null ? 0 : read.i32(location);
  throw new SystemCallError(call, errno === 0 ? "EUNKNOWN" : getSystemErrorName(-errno));
}
