import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConfigFiles, installInclude, removeInclude } from "./install.ts";
import { hostConfig, shellWord, withInclude, withoutInclude } from "./user-config.ts";

const CONFIGS = ["", "Host a\n  User b\n", "no line end", "\r\nHost x\r\n", "\n\n", "# Include /x\n"];

test.each(CONFIGS)("what was in %j is there again when the line is gone, however often it came", (config) => {
  const once = withInclude(config, "/srv/ssh/config");
  expect(once).toStartWith("Include /srv/ssh/config # added by banger");
  expect(once).toEndWith(config);
  expect(withInclude(once, "/srv/ssh/config")).toBe(once);
  expect(withoutInclude(withInclude(once, "/other"))).toBe(config);
});

test("a file that is a link, with a mode and bytes of its own, keeps all of them", () => {
  using home = createHome();
  mkdirSync(join(home.path, "dotfiles"));
  const real = join(home.path, "dotfiles/ssh");
  const bytes = Buffer.from([0x23, 0xff, 0xfe, 0x0a, 0xc3, 0xa4]);
  writeFileSync(real, bytes, { mode: 0o640 });
  mkdirSync(join(home.path, ".ssh"));
  symlinkSync(real, home.files.user);
  installInclude(home.files, "Host *.vm\n");
  expect(readFileSync(real).subarray(-bytes.length)).toEqual(bytes);
  expect(readFileSync(home.files.ours, "utf8")).toBe("Host *.vm\n");
  expect(removeInclude(home.files)).toBe(true);
  expect(readFileSync(real)).toEqual(bytes);
  expect(statSync(real).mode & 0o777).toBe(0o640);
  expect(removeInclude(home.files)).toBe(false);
});

test("without a configuration one is made, private, and goes again", () => {
  using home = createHome();
  installInclude(home.files, "x\n");
  expect(statSync(home.files.user).mode & 0o777).toBe(0o600);
  expect(removeInclude(home.files)).toBe(true);
  expect(() => statSync(home.files.user)).toThrow("ENOENT");
});

test("words and paths are quoted for the shell and for ssh", () => {
  expect(["a/b", "it's", "50%"].map(shellWord)).toEqual(["a/b", String.raw`'it'\''s'`, "'50%%'"]);
  const paths = { identityFile: "/a b/key", knownHostsFile: "/known" };
  const text = hostConfig({ proxy: ["env", "BANGER_HOME=/a b", "banger", "ssh-proxy"], ...paths });
  expect(text).toContain("ProxyCommand env 'BANGER_HOME=/a b' banger ssh-proxy %n\n");
  expect(text).toContain('IdentityFile "/a b/key"\n');
  expect(() => withInclude("", '/a"b')).toThrow("cannot be told");
});

function createHome(): Disposable & { readonly path: string; readonly files: ConfigFiles } {
  const path = mkdtempSync(join(tmpdir(), "banger-ssh-"));
  return {
    path,
    files: { user: join(path, ".ssh/config"), ours: join(path, "state/config") },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}
