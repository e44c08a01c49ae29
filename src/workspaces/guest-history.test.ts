/** What a guest sends as the objects of its repository, held against what it was asked for. */
import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { deflateSync } from "node:zlib";
import { refusal } from "../../test/support/refusal.ts";
import { createRepository } from "../../test/support/repositories.ts";
import { createScratch } from "../../test/support/trees.ts";
import { FRAME } from "../guest/frames.ts";
import { AgentStream } from "../guest/stream.ts";
import { encodeMember, padding } from "../lib/tar/member.ts";
import { readGuestHistory } from "./guest-history.ts";
import { type GuestDoor, GuestTree } from "./guest-tree.ts";
import { WorkspacePlaces } from "./places.ts";
import type { ScannedFile } from "./scan.ts";
import { createShadow } from "./shadow.ts";

const { signal } = new AbortController();

/** The name and content of a loose object. */
function loose(text: string): readonly [string, Buffer] {
  const content = Buffer.from(`blob ${text.length}\0${text}`);
  const oid = createHash("sha1").update(content).digest("hex");
  return [`.git/objects/${oid.slice(0, 2)}/${oid.slice(2)}`, deflateSync(content)];
}

function archive(files: readonly (readonly [string, Buffer])[]): Buffer {
  const parts = files.flatMap(([name, content]) => {
    const facts = { kind: "file", link: Buffer.alloc(0), mode: 0o644, uid: 0, gid: 0 } as const;
    const mtime = { seconds: 1, nanoseconds: 0 };
    const header = encodeMember({ ...facts, name: Buffer.from(name), size: content.length, mtime });
    return [header, content, Buffer.alloc(padding(content.length))];
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

/** A guest that answers everything with one archive. */
function createDoor(bytes: Buffer): GuestDoor {
  const nothing = (): void => undefined;
  const sender = {
    send: nothing,
    sendData: nothing,
    forget: nothing,
    isCongested: () => false,
    onceDrained: nothing,
  };
  return {
    openStream: async (_vm, _request, handlers) => {
      const stream = new AgentStream(1, sender, handlers, 1024 * 1024);
      queueMicrotask(() => {
        stream.accept(FRAME.data, Buffer.concat([Buffer.from([1]), bytes]));
        stream.accept(FRAME.end, Buffer.from([1]));
        stream.accept(FRAME.close, Buffer.from('{"ok":{}}'));
      });
      return await Promise.resolve(stream);
    },
  };
}

async function take(
  scratch: ReturnType<typeof createScratch>,
  asked: readonly string[],
  bytes: Buffer,
): Promise<string[]> {
  createRepository(scratch.at("repo"), { "a.txt": "one\n" });
  const places = new WorkspacePlaces(scratch.at("kept"));
  createShadow(places.shadow, { commonDir: scratch.at("repo/.git"), format: "sha1" });
  const record = {
    vm: "web",
    hostPath: scratch.at("repo"),
    guestPath: "/work",
    head: undefined,
    tree: "0".repeat(40),
    branch: undefined,
    readonly: false,
    includeUntracked: false,
    depth: undefined,
    ownBranch: false,
    ofRevision: false,
    arrivedAtNs: "0",
    sentAt: 0,
  };
  const times = { mode: 0o644, size: 1, mtimeNs: 10n ** 18n, ctimeNs: 10n ** 18n };
  const scanned = asked.map((name): ScannedFile => ({ kind: "file", ...times, name: Buffer.from(name) }));
  const guest = new GuestTree(createDoor(bytes), "web", signal);
  await readGuestHistory({ record, guest, places, apart: [] }, { scanned, signal });
  return readdirSync(`${places.shadow}/objects`).filter((name) => /^[0-9a-f]{2}$/.test(name));
}

const [ONE, TWO] = [loose("one"), loose("two")];

test("objects that were asked for are taken", async () => {
  using scratch = createScratch();
  expect(await take(scratch, [ONE[0], TWO[0]], archive([ONE, TWO]))).toHaveLength(2);
});

test.each([
  ["an object twice", [ONE, ONE]],
  ["an object that was not asked for", [ONE, TWO]],
  ["another file", [["../../../x", Buffer.from("x")]]],
] as const)("%s is refused, so that no guest sends them without end", async (_, sent) => {
  using scratch = createScratch();
  const error = await refusal(take(scratch, [ONE[0]], archive(sent)), "guest_error");
  expect(error.message).toContain("not asked for");
});
