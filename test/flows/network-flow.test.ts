/** The network through client and server on a host that gives guests no card: nothing is more open than it says, and everything says why. */
import { expect, test } from "bun:test";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon, type TestDaemon } from "../support/test-daemon.ts";

const IMAGE = "img";

async function daemonWithImage(): Promise<TestDaemon> {
  const daemon = await createTestDaemon();
  await daemon.addImage(IMAGE);
  return daemon;
}

test("a VM that asks for nothing by name starts without a network", async () => {
  await using daemon = await daemonWithImage();
  const vm = await daemon.client.createVm({ name: "web", image: IMAGE });
  expect(vm).toMatchObject({
    state: "running",
    spec: { network: { mode: "public", allow: [], deny: [], peers: false } },
  });
  const report = await daemon.client.showNetwork();
  expect(report).toMatchObject({ kind: "none", up: false, vms: [], uplink: "none" });
  expect(report.why).toBeDefined();
  expect(report.cure).toBeDefined();
  const verdict = await daemon.client.checkNetwork("web", "203.0.113.1:80");
  expect(verdict.verdict).toBe("deny");
  expect(verdict.rule).toContain("no network card");
  const { rows, capabilities } = await daemon.client.doctor();
  expect(capabilities["network"]).toBe("none");
  expect(rows.find(({ check }) => check === "network")).toMatchObject({ verdict: "warn" });
});

test("a VM that asks for a network by name is refused, with what to do", async () => {
  await using daemon = await daemonWithImage();
  const wish = { name: "web", image: IMAGE, network: { allow: ["github.com:443"] } };
  const error = await refusal(daemon.client.createVm(wish), "unavailable");
  expect(error.message).toContain("cannot have the network allow here");
  expect(error.cure).toContain("banger set web --network none");
  await daemon.client.setVm("web", { network: { mode: "none" } });
  expect(await daemon.client.startVm("web")).toMatchObject({
    state: "running",
    spec: { network: { mode: "none", allow: [] } },
  });
});

test("a change that does not hold is not in the record", async () => {
  await using daemon = await daemonWithImage();
  await daemon.client.createVm({ name: "web", image: IMAGE });
  await refusal(daemon.client.setVm("web", { network: { mode: "full" }, name: "other" }), "unavailable");
  expect(await daemon.client.showVm("web")).toMatchObject({ spec: { network: { mode: "public" } } });
  await refusal(daemon.client.setVm("web", { network: { mode: "allow" } }), "invalid_argument");
  const changed = await daemon.client.setVm("web", { network: { deny: ["10.0.0.0/8"], peers: true } });
  expect(changed.spec.network).toEqual({ mode: "public", allow: [], deny: ["10.0.0.0/8"], peers: true });
  expect(changed.pending).toEqual([]);
});

test("a pool without a free address is said to be so before anything is made, with the cure", async () => {
  // Network, host, one guest, broadcast.
  await using daemon = await createTestDaemon({ toml: '[network]\naddress_pool = "10.9.0.0/30"\n' });
  await daemon.addImage(IMAGE);
  expect(await daemon.client.createVm({ name: "one", image: IMAGE })).toMatchObject({ address: "10.9.0.2" });
  const error = await refusal(daemon.client.createVm({ name: "two", image: IMAGE }), "resource_exhausted");
  expect(error.message).toContain("10.9.0.0/30");
  expect(error.cure).toContain("banger rm");
  expect((await daemon.client.listVms()).map(({ name }) => name)).toEqual(["one"]);
  await daemon.client.removeVm("one", { force: true });
  expect(await daemon.client.createVm({ name: "two", image: IMAGE })).toMatchObject({ address: "10.9.0.2" });
});

test.each([
  ["a mode that is none", { mode: "open" }],
  ["a network that is none", { allow: ["10.0.0.0/33"] }],
  ["a port above 65535", { allow: ["a:70000"] }],
  ["a private place by name", { allow: ["localhost"] }],
  ["a private zone by name", { allow: ["*.internal:443"] }],
  ["a domain that is none", { allow: ["a..test:443"] }],
  ["a domain with a space", { deny: ["a b.test"] }],
  ["a protocol that is none", { allow: ["a.test:443/sctp"] }],
  ["an allow list without the mode", { mode: "public", allow: ["a.test"] }],
  ["too many rules", { deny: Array.from({ length: 300 }, (_, at) => `n${at}.test`) }],
  ["an unknown field", { peer: true }],
] as const)("%s is refused before anything is made", async (_, network) => {
  await using daemon = await daemonWithImage();
  // @ts-expect-error -- a client of another version, or none of ours
  await refusal(daemon.client.createVm({ name: "web", image: IMAGE, network }), "invalid_argument");
  expect(await daemon.client.listVms()).toEqual([]);
});
