/**
 * A terminal's mode, by termios(3). The runtimes' own raw mode leaves the terminal's output processing on (ONLCR), which breaks
 * programs that move the cursor down with a line feed, as ncurses does.
 */
import { dlopen } from "bun:ffi";

const { symbols } = dlopen("libc.so.6", {
  tcgetattr: { args: ["i32", "ptr"], returns: "i32" },
  tcsetattr: { args: ["i32", "i32", "ptr"], returns: "i32" },
  cfmakeraw: { args: ["ptr"], returns: "void" },
});

/** More than a `struct termios` has on any architecture of Linux. */
const TERMIOS_BYTES = 256;
/** When the output that was written has gone (tcsetattr(3)). */
const TCSADRAIN = 1;

/**
 * Puts the terminal into raw mode; the answer puts it back as it was, also when called from an `exit` handler, and may be called
 * again. `undefined` when `fd` is no terminal.
 */
export function enterRawMode(fd: number): (() => void) | undefined {
  const before = new Uint8Array(TERMIOS_BYTES);
  if (symbols.tcgetattr(fd, before) !== 0) return undefined;
  const raw = before.slice();
  symbols.cfmakeraw(raw);
  symbols.tcsetattr(fd, TCSADRAIN, raw);
  return () => {
    // A terminal that has gone (EIO) needs no mode.
    symbols.tcsetattr(fd, TCSADRAIN, before);
  };
}
