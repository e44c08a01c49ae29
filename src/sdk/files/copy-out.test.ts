/** Files of a guest that is made up. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { refusal } from "../../../test/support/refusal.ts";
import { createScriptedTransport, type ScriptedTransport } from "../../../test/support/scripted-transport.ts";
import { createScratch } from "../../../test/support/trees.ts";
import type { GuestFileFacts } from "../../model/guest-stream.ts";
import { GuestStream } from "../guest-stream.ts";
import type { GuestAccess } from "./access.ts";
import { RESUME_BYTES } from "./copy-in.ts";
import { copyOut } from "./copy-out.ts";

const FACTS: GuestFileFacts = {
  type: "file",
  size: RESUME_BYTES,
  storedBytes: RESUME_BYTES,
  mode: 0o600,
  uid: 0,
  gid: 0,
  mtimeMs: 1000,
};
const REFUSED = { type: "error", error: { code: "permission_denied", message: "no" } };

/** A guest with one large file; `answer` is what it says when that is read. */
function createGuest(
  answer: (script: ScriptedTransport) => void,
  facts: GuestFileFacts = FACTS,
): GuestAccess {
  return {
    stat: async () => await Promise.resolve(facts),
    statIfThere: async () => await Promise.resolve(facts),
    open: (request, options) => {
      const script = createScriptedTransport();
      const stream = new GuestStream(script.transport, "/", { ...options, request });
      queueMicrotask(() => {
        script.open();
        script.say({ type: "opened" });
        answer(script);
      });
      return stream;
    },
  };
}

test("a large file that may not be read leaves nothing beside its place", async () => {
  using scratch = createScratch();
  const guest = createGuest((script) => script.say(REFUSED));
  const job = { guestPath: "/big", hostPath: scratch.at("big") };
  await refusal(copyOut(guest, job), "permission_denied");
  expect(readdirSync(scratch.path)).toEqual([]);
});

test("what came of a large file before it broke off stays to go on with", async () => {
  using scratch = createScratch();
  const guest = createGuest((script) => {
    script.say({ type: "message", message: { file: FACTS } });
    script.bytes(Buffer.from("begun"));
    script.say(REFUSED);
  });
  await refusal(copyOut(guest, { guestPath: "/big", hostPath: scratch.at("big") }), "permission_denied");
  const [part = ""] = readdirSync(scratch.path);
  expect(part).toStartWith(".banger-part-");
  expect(readFileSync(scratch.at(part), "utf8")).toBe("begun");
});

test.each([true, false])(
  "a large file has its owner and set-user-ID bit, or neither: archive %p",
  async (archive) => {
    using scratch = createScratch();
    const facts = { ...FACTS, mode: 0o4755, uid: 1234, gid: 1235 };
    const guest = createGuest((script) => {
      script.say({ type: "message", message: { file: facts } });
      script.bytes(Buffer.alloc(RESUME_BYTES));
      script.say({ type: "result", result: {} });
    }, facts);
    await copyOut(guest, { guestPath: "/big", hostPath: scratch.at("big"), archive });
    const { mode, uid, gid } = statSync(scratch.at("big"));
    const own = [process.getuid?.() ?? -1, process.getgid?.() ?? -1];
    expect([mode & 0o7777, uid, gid]).toEqual(
      archive ? [0o4755, ...(own[0] === 0 ? [1234, 1235] : own)] : [0o755, ...own],
    );
  },
);
