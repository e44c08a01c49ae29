import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { createScratch } from "../../test/support/trees.ts";
import { type Build, remarkOtherDaemon } from "./other-daemon.ts";

/** What a command says of a daemon that has written `text`. */
function remark(text: string, own: Build): string | undefined {
  using scratch = createScratch();
  writeFileSync(scratch.at("bangerd.lock"), text);
  return remarkOtherDaemon(own, { BANGER_HOME: scratch.path });
}

const said = (daemon: Build): string => JSON.stringify({ pid: 1, socket: "/s", ...daemon });

test.each([
  [{ version: "1.0.0" }, { version: "1.1.0" }, "is banger 1.0.0, and this command 1.1.0;"],
  [{ version: "1.1.0", build: "a" }, { version: "1.0.0", build: "a" }, "is banger 1.1.0, and this"],
  [{ version: "1.0.0", build: "a" }, { version: "1.0.0", build: "b" }, "is another build of banger 1.0.0"],
] as const)("a daemon of %j is another one for a command of %j", (daemon, own, words) => {
  const text = remark(said(daemon), own);
  expect(text).toContain(words);
  expect(text).toEndWith("renewed with: banger daemon restart");
  expect(text).not.toContain("\n");
});

test.each([
  [
    { version: "1.0.0", build: "a" },
    { version: "1.0.0", build: "a" },
  ],
  [{ version: "1.0.0" }, { version: "1.0.0" }],
  [{ version: "1.0.0", build: "a" }, { version: "1.0.0" }],
  [{ version: "1.0.0" }, { version: "1.0.0", build: "a" }],
] as const)("a daemon of %j is the same for a command of %j", (daemon, own) => {
  expect(remark(said(daemon), own)).toBeUndefined();
});

test.each(["", "{", "null", "7", '{"pid":1,"socket":"/s"}', '{"version":7}'])(
  "a daemon that says %j is not known, and nothing is said of it",
  (text) => {
    expect(remark(text, { version: "1.0.0", build: "a" })).toBeUndefined();
  },
);

test("nothing is said where there is no file", () => {
  expect(remarkOtherDaemon({ version: "1.0.0" }, { BANGER_HOME: "/nonexistent" })).toBeUndefined();
});
