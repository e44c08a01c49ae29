/** Published ports of a real guest, driven as a user would: over restarts, half-closed, under load, TCP and UDP. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import { connect } from "node:net";
import type { Vm } from "../../src/sdk/index.ts";
import { killToTheEnd } from "../support/processes.ts";
import { createRealHome, type RealHome } from "../support/real-home.ts";
import { fateOf, talk, udpClient } from "../support/sockets.ts";

/** Serves TCP with one process a connection: says what it heard, when that has ended, and `!`; or, told `flood N`, N MiB at once. */
const SERVER = `
use IO::Socket::INET; $SIG{CHLD} = "IGNORE";
my $s = IO::Socket::INET->new(LocalAddr => "0.0.0.0", LocalPort => 80, Listen => 64, ReuseAddr => 1) or die;
open(my $ready, ">", "/run/tcp-ready"); close $ready;
while (my $c = $s->accept) {
  next if fork; close $s;
  my $first; sysread($c, $first, 65536);
  if (($first // "") =~ /^flood (\\d+)/) {
    my $mib = "x" x 1048576;
    for (1..$1) { my $at = 0; while ($at < 1048576) { my $n = syswrite($c, $mib, 1048576 - $at, $at) or exit; $at += $n } }
    exit;
  }
  my $n = length($first // ""); my $all = $first; my $b;
  while (my $k = sysread($c, $b, 65536)) { $n += $k; $all .= $b if $n < 100000 }
  $all = "$n bytes" if $n >= 100000;
  syswrite($c, ($all // "") . "!"); exit;
}`;

/** Says each datagram back, with the number of bytes before it. */
const UDP_SERVER = `
use IO::Socket::INET;
my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 53, Proto => "udp") or die;
open(my $ready, ">", "/run/udp-ready"); close $ready;
while (defined(my $from = $s->recv(my $b, 65536))) { $s->send(length($b) . ":" . substr($b, 0, 1000)) }`;

/** Says to whoever connects where it comes from. */
const WHENCE = `
use IO::Socket::INET;
my ($address, $port) = @ARGV;
my $s = IO::Socket::INET->new(LocalAddr => $address, LocalPort => $port, Listen => 64, ReuseAddr => 1) or die;
open(my $ready, ">", "/run/whence-$port"); close $ready;
while (my $c = $s->accept) { sysread($c, my $b, 1); syswrite($c, $c->peerhost) }`;

let home: RealHome;
let ports: readonly number[];

beforeAll(async () => {
  home = await createRealHome();
  const flags = ["-p", "0:80", "-p", "0:53/udp", "-p", "0:81"];
  const made = await home.banger(["run", "-d", "--name", "web", "--json", ...flags]);
  if (made.code !== 0) throw new Error(made.stderr);
  ports = ((JSON.parse(made.stdout) as Vm).spec.ports ?? []).map((port) => port.hostPort);
  for (const program of [SERVER, UDP_SERVER]) {
    await home.must(["exec", "-d", "web", "--", "perl", "-e", program]);
  }
  const wait = "until [ -e /run/tcp-ready ] && [ -e /run/udp-ready ]; do :; done";
  const waited = await home.banger(["exec", "web", "--", "sh", "-c", wait]);
  if (waited.code !== 0) throw new Error(waited.stderr);
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

const port = (at: number): number => ports[at] ?? 0;

test("a server in the guest answers on the published port, each side ending by itself, also over a daemon restart", async () => {
  expect((await talk(port(0), "hello")).toString()).toBe("hello!");
  expect((await talk(port(0), "")).toString()).toBe("!");
  expect(await fateOf(port(2))).toBe("ECONNRESET");
  await killToTheEnd(await home.daemonPid());
  // It listens before it says that it serves, and whoever comes then waits for the guest.
  await home.must(["daemon", "start"]);
  expect((await talk(port(0), "again")).toString()).toBe("again!");
  expect(await home.banger(["daemon", "stop"])).toMatchObject({ code: 0 });
  expect(await fateOf(port(0))).toBe("ECONNREFUSED");
  await home.must(["daemon", "start"]);
  expect((await talk(port(0), "and again")).toString()).toBe("and again!");
});

test("servers are found on the guest's address and on its loopback, whatever it may reach itself", async () => {
  const servers = [
    ["0.0.0.0", "82"],
    ["127.0.0.1", "83"],
  ] as const;
  const flags = servers.flatMap(([, at]) => ["-p", `0:${at}`]);
  const made = await home.banger(["run", "-d", "--name", "closed", "--network", "none", "--json", ...flags]);
  expect(made).toMatchObject({ code: 0 });
  const vm = JSON.parse(made.stdout) as Vm;
  for (const [address, at] of servers) {
    await home.must(["exec", "-d", "closed", "--", "perl", "-e", WHENCE, address, at]);
    const wait = `until [ -e /run/whence-${at} ]; do :; done`;
    expect(await home.banger(["exec", "closed", "--", "sh", "-c", wait])).toMatchObject({ code: 0 });
  }
  const whence = await Promise.all(
    (vm.spec.ports ?? []).map(async ({ hostPort }) => (await talk(hostPort, "?")).toString()),
  );
  // The gateway's where there is a route, unless the guest was too slow to answer on it.
  const near = vm.address.replace(/\.\d+$/, ".1");
  expect([near, "127.0.0.1"]).toContain(whence[0] ?? "");
  expect(whence[1]).toBe("127.0.0.1");
  expect(await home.banger(["rm", "-f", "closed"])).toMatchObject({ code: 0 });
});

test("datagrams are echoed with their borders", async () => {
  using client = await udpClient(port(1));
  for (const size of [1, 1_400, 60_000]) {
    client.send(Buffer.alloc(size, "u"));
    expect((await client.next()).toString()).toBe(`${size}:${"u".repeat(Math.min(size, 1000))}`);
  }
});

test("ports, ps and show tell what is published, and who listens", async () => {
  const { stdout } = await home.banger(["ports", "web"]);
  expect(stdout).toMatch(
    new RegExp(`tcp +0\\.0\\.0\\.0 +80 +perl \\(\\d+\\) +127\\.0\\.0\\.1:${port(0)} +web\\.vm:80`),
  );
  expect(stdout).toMatch(
    new RegExp(`udp +127\\.0\\.0\\.1 +53 +perl \\(\\d+\\) +127\\.0\\.0\\.1:${port(1)}/udp +`),
  );
  expect(stdout).toMatch(new RegExp(`tcp +81 +\\(nobody listens\\) +127\\.0\\.0\\.1:${port(2)} +`));
  expect((await home.banger(["ps"])).stdout).toContain(`127.0.0.1:${port(0)}->80`);
  expect((await home.banger(["show", "web"])).stdout).toMatch(/^published +127\.0\.0\.1:\d+->80, /m);
});

test("64 MiB go each way while a reader that stopped stops nobody else", async () => {
  const MIB = 2 ** 20;
  const slow = connect({ port: port(0), host: "127.0.0.1" });
  slow.write("flood 64");
  const [first] = (await once(slow, "data")) as [Buffer];
  slow.pause();
  expect((await talk(port(0), Buffer.alloc(64 * MIB, "y"))).toString()).toBe(`${64 * MIB} bytes!`);
  const fast = connect({ port: port(0), host: "127.0.0.1" });
  fast.write("flood 64");
  let heard = 0;
  for await (const bytes of fast) heard += (bytes as Buffer).length;
  expect(heard).toBe(64 * MIB);
  let rest = first.length;
  for await (const bytes of slow) rest += (bytes as Buffer).length;
  expect(rest).toBe(64 * MIB);
});

test("set takes a port away and gives another one while the VM runs", async () => {
  const added = await home.banger(["set", "web", "--publish", "0:80", "--json"]);
  expect(added).toMatchObject({ code: 0 });
  const other = (JSON.parse(added.stdout) as Vm).spec.ports?.at(-1)?.hostPort ?? 0;
  expect((await talk(other, "x")).toString()).toBe("x!");
  const refused = await home.banger(["set", "web", "--publish", `${other}:81`]);
  expect(refused).toMatchObject({ code: 1 });
  expect(await home.banger(["set", "web", "--unpublish", String(other)])).toMatchObject({ code: 0 });
  expect(await fateOf(other)).toBe("ECONNREFUSED");
});
