/** `file_sync` from the configuration to the guest: the real agent, which runs on this host here, and so writes on it. */
import { expect, test } from "bun:test";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFileSyncCapability } from "../../src/host/file-sync-capability.ts";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon } from "../support/test-daemon.ts";

function createPlace(): Disposable & { readonly dir: string } {
  const dir = mkdtempSync(join(tmpdir(), "banger-file-sync-"));
  return { dir, [Symbol.dispose]: () => rmSync(dir, { recursive: true }) };
}

const NOT_ROOT = process.getuid?.() !== 0;
if (NOT_ROOT)
  console.warn("skipped: file_sync on this host: only root's agent can write files that are root's");

/** The rule of the configuration, below /root, is not the capability's; a place of this test stands for /root. */
test.skipIf(NOT_ROOT)("each start writes the file as it is then", async () => {
  using place = createPlace();
  const [host, guest] = [join(place.dir, "host"), join(place.dir, "root/made/guest")];
  const capability = createFileSyncCapability({
    entries: [{ host, guest, mode: 0o640 }],
    onMissing: () => undefined,
  });
  await using daemon = await createTestDaemon({ capabilities: [capability] });
  await daemon.addImage("img");
  const content = "first".repeat(200_000);
  writeFileSync(host, content);
  const { startSteps } = await daemon.client.createVm({ name: "web", image: "img" });
  expect(startSteps.map(({ name }) => name).slice(-2)).toEqual(["configure", "started"]);
  expect(readFileSync(guest, "utf8")).toBe(content);
  expect(statSync(guest).mode & 0o7777).toBe(0o640);
  writeFileSync(host, "second");
  await daemon.client.restartVm("web");
  expect(readFileSync(guest, "utf8")).toBe("second");
  rmSync(host);
  await daemon.client.restartVm("web");
  expect(readFileSync(guest, "utf8")).toBe("second");
  expect(readdirSync(join(place.dir, "root/made"))).toEqual(["guest"]);
});

test("a start that the guest refuses fails with both names, and nothing runs", async () => {
  using place = createPlace();
  const host = join(place.dir, "host");
  writeFileSync(host, "x");
  const capability = createFileSyncCapability({
    entries: [{ host, guest: join(host, "below/a/file"), mode: 0o600 }],
    onMissing: () => undefined,
  });
  await using daemon = await createTestDaemon({ capabilities: [capability] });
  await daemon.addImage("img");
  const { message } = await refusal(
    daemon.client.createVm({ name: "web", image: "img" }),
    "failed_precondition",
  );
  expect(message).toContain(
    `file_sync: ${host} cannot be written into the guest: writing ${host}/below/a/file: `,
  );
  expect(await daemon.client.showVm("web")).toMatchObject({ state: "stopped", lastError: { message } });
});

test("the configured files are looked at: a missing one is a note, and one that is too large refuses the start", async () => {
  using place = createPlace();
  const toml = '[[file_sync]]\nhost = "~/big"\nguest = "/root/.banger-test-big"\n';
  await using daemon = await createTestDaemon({ toml, env: { HOME: place.dir } });
  await daemon.addImage("img");
  const events: unknown[] = [];
  await daemon.client.createVm({ name: "web", image: "img" }, { onProgress: (event) => events.push(event) });
  const path = join(place.dir, "big");
  expect(events).toContainEqual({ event: "note", text: `file_sync: ${path} is missing` });
  const { settings } = await daemon.client.config();
  expect(settings.find(({ key }) => key === "file_sync")).toMatchObject({
    value: JSON.stringify([{ host: path, guest: "/root/.banger-test-big", mode: "0600" }]),
    origin: "file",
  });
  await daemon.client.stopVm("web");
  writeFileSync(path, "");
  truncateSync(path, 16 * 1024 * 1024 + 1);
  const { message } = await refusal(daemon.client.startVm("web"), "failed_precondition");
  expect(message).toContain(`file_sync: ${path} has more than the 16 MiB`);
  expect((await daemon.client.showVm("web")).state).toBe("stopped");
});
