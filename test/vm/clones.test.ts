/** Real guests saved and cloned: each goes on where it was, and each is somebody else. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import type { FreezeOptions } from "../../src/guest/snapshot.ts";
import { type RealGuest, RealGuests, type SavedGuest } from "../support/real-guests.ts";
import { refusal } from "../support/refusal.ts";

const COUNTER = "i=0; while :; do i=$((i+1)); echo $i >>/dev/shm/count; sleep 0.3; done";
/** Entropy that compresses to nothing else, in memory and on disk. */
const FILL = "head -c 100M /dev/urandom >/dev/shm/fill; md5sum </dev/shm/fill";

/** A clone whose clock nobody set is years off; on a busy host one that was set is a bit. */
const CLOCK_MS = 1_000;
/** Draws for ever, a line each time. */
const DRAW = "while :; do od -An -N16 -tx1 /dev/urandom >>/dev/shm/draws; done";
const LINES = "$(wc -l </dev/shm/draws)";
/** What was drawn, once there is more of it. */
const DRAWS = `n=${LINES}; until [ ${LINES} -gt $((n+3)) ]; do :; done; cat /dev/shm/draws`;

const files = (timeoutMs: number): FreezeOptions => ({ fileSystems: true, commands: false, timeoutMs });

describe("clones of a real guest", () => {
  let guests: RealGuests;
  let original: RealGuest;
  let saved: SavedGuest;
  let atSaving: { readonly count: number; readonly uptime: number; readonly sum: string };
  const number = async (guest: RealGuest, script: string): Promise<number> => Number(await guest.sh(script));

  beforeAll(async () => {
    guests = await RealGuests.create(512);
    original = await guests.boot();
    const spec = { argv: ["sh", "-c", COUNTER], env: {}, cwd: undefined, user: undefined, tty: undefined };
    await original.agent.execDetached("counter", { ...spec, timeoutMs: 0 });
    const sum = await original.sh(FILL);
    // A clock that is far off, so that a clone whose clock is right was given the time.
    await original.sh("date -s 2001-02-03 >/dev/null; echo before >/root/file; sync");
    atSaving = {
      sum,
      count: await number(original, "tail -n1 /dev/shm/count"),
      uptime: await number(original, "cut -d' ' -f1 /proc/uptime"),
    };
    saved = await guests.save(original);
  });
  afterAll(async () => await guests[Symbol.asyncDispose]());

  test("go on counting, four at once and beside the original, each for itself", async () => {
    const clones = await Promise.all([1, 2, 3, 4].map(() => guests.resume(saved)));
    for (const guest of [...clones, original]) {
      const count = await number(guest, "tail -n1 /dev/shm/count");
      expect(count).toBeGreaterThanOrEqual(atSaving.count);
      await guest.sh(`until [ "$(tail -n1 /dev/shm/count)" -gt ${count} ]; do :; done`);
      expect(await number(guest, "cut -d' ' -f1 /proc/uptime")).toBeGreaterThanOrEqual(atSaving.uptime);
      expect(await guest.sh("md5sum </dev/shm/fill")).toBe(atSaving.sum);
    }
    await Promise.all(clones.map(async (clone) => await clone.running.kill({ graceMs: 0 })));
  });

  test("draw distinct random bytes, have their own names, and the host's time", async () => {
    const draws = new Set<string>();
    const clones = 8;
    for (let i = 0; i < clones; i += 1) {
      const clone = await guests.resume(saved);
      draws.add(await clone.sh("od -An -N16 -tx1 /dev/urandom"));
      expect(clone.clockErrorMs).toBeLessThanOrEqual(CLOCK_MS);
      const from = Date.now();
      const theirs = await number(clone, "date +%s%3N");
      expect(theirs).toBeWithin(from - CLOCK_MS, Date.now() + CLOCK_MS);
      const { hostname, machineId, bootId } = clone.identity;
      const ids = await clone.sh(
        "hostname; cat /etc/hostname /etc/machine-id /proc/sys/kernel/random/boot_id",
      );
      expect(ids.split("\n")).toEqual([hostname, hostname, machineId, bootId]);
      expect(await clone.sh("tail -n1 /etc/hosts")).toBe(`172.16.0.9\t${hostname}`);
      clone.agent.close();
      await clone.running.kill({ graceMs: 0 });
    }
    expect(draws.size).toBe(clones);
    expect(await original.sh("hostname; date +%Y")).toBe("original\n2001");
  });

  test("have disks and memory of their own, and can be saved in their turn", async () => {
    const parent = await guests.resume(saved);
    await parent.sh("echo parent >/root/file; echo parent >/dev/shm/mark; sync");
    const again = await guests.save(parent);
    await parent.running.kill({ graceMs: 0 });
    const child = await guests.resume(again);
    rmSync(again.machineDir, { recursive: true });
    expect(await child.sh("cat /root/file /dev/shm/mark; md5sum </dev/shm/fill")).toBe(
      `parent\nparent\n${atSaving.sum}`,
    );
    expect(await child.sh("cat /proc/sys/kernel/random/boot_id")).toBe(child.identity.bootId);
    expect(await original.sh("cat /root/file; ls /dev/shm")).toBe("before\ncount\nfill");
    await child.agent.poweroff(1_000);
    expect(await child.running.exited).toMatchObject({ code: 0 });
  });

  test("do not run what stood still before they are somebody else, and it draws distinct random bytes then", async () => {
    const parent = await guests.resume(saved);
    const spec = { argv: ["sh", "-c", DRAW], env: {}, cwd: undefined, user: undefined, tty: undefined };
    await parent.agent.execDetached("draw", { ...spec, timeoutMs: 0 });
    await parent.sh("until [ -s /dev/shm/draws ]; do :; done");
    await parent.agent.freeze({ fileSystems: false, commands: true, timeoutMs: 60_000 });
    expect((await refusal(parent.sh("true"))).message).toContain("held for a snapshot");
    const held = await guests.save(parent);
    await parent.agent.thaw();
    const children = [
      parent,
      await guests.resume(held),
      await guests.resume(held),
      await guests.resume(held),
    ];
    const lists: string[][] = [];
    for (const child of children) {
      const list = await child.sh(DRAWS);
      lists.push(list.split("\n"));
    }
    const [first = []] = lists;
    const common = lists.slice(1).map((list) => list.findIndex((line, at) => line !== first[at]));
    // Up to there it was drawn before; what was being written at that moment may have been, too.
    const drawn = lists.flatMap((list) => list.slice(Math.min(...common) + 1));
    expect(Math.min(...common)).toBeGreaterThan(0);
    expect(drawn.length).toBeGreaterThan(lists.length);
    expect(new Set(drawn).size).toBe(drawn.length);
    for (const { running } of children) await running.kill({ graceMs: 0 });
  });

  test("a frozen guest holds writes back until it is thawed, or the time is over", async () => {
    const clone = await guests.resume(saved);
    await clone.agent.freeze(files(60_000));
    let written = false;
    const writing = clone.sh("echo late >/root/late; sync").then(() => (written = true));
    expect(await clone.sh("cat /root/file")).toBe("before");
    expect(written).toBe(false);
    await clone.agent.thaw();
    await writing;
    await clone.agent.freeze(files(200));
    await clone.sh("echo later >/root/late; sync");
    expect((await refusal(clone.agent.thaw())).message).toContain("ended before");
    await clone.agent.thaw();
    // A guest that was saved frozen goes on when it is told that it is another one.
    await clone.agent.freeze(files(60_000));
    const frozen = await guests.save(clone);
    const child = await guests.resume(frozen);
    expect(await child.sh("echo thawed >/root/late; cat /root/late")).toBe("thawed");
  });
});
