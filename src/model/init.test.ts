import { expect, test } from "bun:test";
import { BangerError } from "./errors.ts";
import { chooseInit, initCommand, parseInit } from "./init.ts";
import { parseSignal } from "./signals.ts";

test("initCommand() knows inits wherever distributions have them, and nothing else", () => {
  for (const path of [
    "/sbin/init",
    "/usr/sbin/init",
    "/bin/init",
    "/lib/systemd/systemd",
    "/usr/lib/systemd/systemd",
  ]) {
    expect(initCommand({ cmd: [path, "--x"] })).toEqual([path, "--x"]);
    expect(initCommand({ entrypoint: [path], cmd: ["y"] })).toEqual([path, "y"]);
  }
  for (const path of ["init", "/opt/sbin/init", "/sbin/initctl", "/bin/sh", "/init", ""])
    expect(initCommand({ cmd: [path] })).toBeUndefined();
  expect(initCommand({ entrypoint: ["/usr/bin/tini"], cmd: ["/sbin/init"] })).toBeUndefined();
  expect(initCommand({})).toBeUndefined();
});

test("chooseInit() lets what was asked for go before the image", () => {
  const image = { cmd: ["/sbin/init", "--x"] };
  expect(chooseInit(undefined, image)).toEqual({ init: "systemd", initArgv: ["/sbin/init", "--x"] });
  expect(chooseInit("systemd", image)).toEqual({ init: "systemd", initArgv: ["/sbin/init", "--x"] });
  expect(chooseInit("agent", image)).toEqual({ init: "agent" });
  expect(chooseInit(undefined, { cmd: ["sh"] })).toEqual({ init: "agent" });
  expect(chooseInit("systemd", { cmd: ["sh"] })).toEqual({ init: "systemd" });
});

test("parseInit() refuses what is none", () => {
  expect(parseInit("agent")).toBe("agent");
  expect(() => parseInit("openrc")).toThrow(BangerError);
});

test("parseSignal() reads what images write", () => {
  for (const text of ["SIGQUIT", "QUIT", "sigquit", "3"]) expect(parseSignal(text)).toBe("QUIT");
  for (const text of [undefined, "", "SIG", "SIGRTMIN+3", "0", "64"])
    expect(parseSignal(text)).toBeUndefined();
});
