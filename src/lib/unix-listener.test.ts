import { describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BangerError } from "../model/errors.ts";
import { createUnixListener, MAX_SOCKET_PATH_BYTES } from "./unix-listener.ts";

class Scratch implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "banger-listener-"));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}

describe("createUnixListener()", () => {
  test("accepts connections before anybody serves it, and hands them to a child", async () => {
    using scratch = new Scratch();
    using listener = createUnixListener(join(scratch.path, "s"));
    const client = connect(listener.path);
    await once(client, "connect");
    client.write("hello");
    const script = 'open(my $l, "+<&=", 3); accept(my $c, $l); sysread($c, my $b, 9); syswrite($c, uc $b)';
    const child = spawn("perl", ["-e", script], { stdio: ["ignore", "inherit", "inherit", listener.fd] });
    const [answer] = (await once(client, "data")) as [Uint8Array];
    expect(Buffer.from(answer).toString()).toBe("HELLO");
    client.destroy();
    await once(child, "exit");
  });

  test("makes a name that only its owner may use", () => {
    using scratch = new Scratch();
    const umask = process.umask(0);
    try {
      using listener = createUnixListener(join(scratch.path, "s"));
      expect(statSync(listener.path).mode & 0o777).toBe(0o600);
    } finally {
      process.umask(umask);
    }
  });

  test("replaces a socket that was left, and nothing else", () => {
    using scratch = new Scratch();
    const path = join(scratch.path, "s");
    createUnixListener(path)[Symbol.dispose]();
    expect(existsSync(path)).toBe(true);
    const again = createUnixListener(path);
    again.remove();
    again.remove();
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, "precious");
    expect(codeOf(() => createUnixListener(path))).toBe("already_exists");
  });

  test("takes a path of 107 bytes and refuses one of 108", () => {
    using scratch = new Scratch();
    const longest = join(scratch.path, "x".repeat(MAX_SOCKET_PATH_BYTES - scratch.path.length - 1));
    createUnixListener(longest).remove();
    expect(codeOf(() => createUnixListener(`${longest}x`))).toBe("invalid_argument");
    expect(readdirSync(scratch.path)).toEqual([]);
  });

  test("leaves no descriptor open when the directory is missing", () => {
    using scratch = new Scratch();
    const before = readdirSync("/proc/self/fd").length;
    expect(codeOf(() => createUnixListener(join(scratch.path, "none", "s")))).toBe("internal");
    expect(readdirSync("/proc/self/fd").length).toBe(before);
  });
});

function codeOf(action: () => unknown): string {
  try {
    action();
    return "nothing was thrown";
  } catch (error) {
    return BangerError.from(error).code;
  }
}
