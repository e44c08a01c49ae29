/** The command line finds the daemon's socket and log where the daemon puts them. */
import { expect, test } from "bun:test";
import { daemonLockPath, daemonLogPath, socketPath, sshConfigPath } from "../../src/cli/places.ts";
import { findLayout } from "../../src/host/layout.ts";

const ENVIRONMENTS: readonly Readonly<Record<string, string>>[] = [
  { HOME: "/home/me" },
  { HOME: "/home/me", BANGER_HOME: "/srv/b" },
  { HOME: "/home/me", BANGER_HOME: "" },
  { HOME: "" },
  {},
  { HOME: "/home/me", XDG_RUNTIME_DIR: "/run/user/1000", XDG_STATE_HOME: "/var/me" },
  { HOME: "/home/me", XDG_RUNTIME_DIR: "relative", XDG_STATE_HOME: "relative" },
];

test.each(ENVIRONMENTS)("command line and daemon agree on the places for %j", (env) => {
  const layout = findLayout(env, 1000);
  expect(socketPath(env, 1000)).toBe(layout.socket);
  expect(daemonLogPath(env)).toBe(layout.daemonLog);
  expect(daemonLockPath(env)).toBe(layout.daemonLock);
  expect(sshConfigPath(env)).toBe(layout.sshConfig);
});

test("an empty HOME is none: the system's list of users says where the user is at home", () => {
  const { stateDir } = findLayout({ HOME: "" }, 1000);
  expect(stateDir).toBe(findLayout({}, 1000).stateDir);
  expect(stateDir).toStartWith("/");
});

test("a relative HOME is refused with its cure, unless it is not needed", () => {
  expect(() => findLayout({ HOME: "here" }, 1000)).toThrow("HOME is not an absolute path: here");
  expect(findLayout({ HOME: "here", BANGER_HOME: "/srv/b" }, 1000).stateDir).toBe("/srv/b");
});
