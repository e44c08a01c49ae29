/**
 * A service of the guest over a published port against the same service by the guest's address, through its tap: one on all addresses, whose
 * published port goes over the route to it, and one on the guest's loopback, whose published port rides the agent's channel. Beside it
 * stands what such a channel costs at least (`port-floor.ts`).
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import type { RealHome } from "../test/support/real-home.ts";
import { bareArgv } from "./bare-qemu.ts";
import { openPortFloor } from "./port-floor.ts";
import { limitRow, printedRow, type Row, ratioRow, type Sample, summarise } from "./stats.ts";
import { must, timed } from "./tools.ts";

const MIB = 2 ** 20;
const LARGE_MIB = 64;
/** Times the tap's. */
const MOST = 2;
const RUNS = 5;
const PINGS = 200;
const CONNECTS = 50;
const PORT = 5001;
/** Of the same service on the guest's loopback. */
const INNER_PORT = 5002;

/** One process a connection. The first byte says what is wanted: `s`, to be sent so much; `r`, to read so much and say so; `e`, each byte back until a `q`. */
const SERVER = `
use IO::Socket::INET; use Socket qw(IPPROTO_TCP TCP_NODELAY); $SIG{CHLD} = "IGNORE";
my ($address, $port) = @ARGV;
my $s = IO::Socket::INET->new(LocalAddr => $address, LocalPort => $port, Listen => 64, ReuseAddr => 1) or die;
open(my $ready, ">", "/run/ready-$port"); close $ready;
my $piece = "x" x 65536;
while (my $c = $s->accept) {
  setsockopt($c, IPPROTO_TCP, TCP_NODELAY, 1);
  next if fork; close $s;
  my ($what, $b); sysread($c, $what, 1);
  if ($what eq "s") { my $left = ${LARGE_MIB * MIB}; while ($left > 0) { $left -= syswrite($c, $piece) // exit } }
  elsif ($what eq "r") { my $left = ${LARGE_MIB * MIB}; while ($left > 0) { $left -= sysread($c, $b, 65536) || exit } syswrite($c, "k") }
  else { while (sysread($c, $b, 1) && $b ne "q") { syswrite($c, $b) } }
  exit;
}`;

interface Way {
  /** A connection to the service. */
  open(): Promise<Socket>;
  close(socket: Socket): void;
}

/** Rows of throughput both ways and of latency; without network cards only what the published port does. */
export async function benchPorts(home: RealHome, scratch: string): Promise<Row[]> {
  await must(home, ["run", "-d", "-q", "--name", "ports", "-p", `0:${PORT}`, "-p", `0:${INNER_PORT}`]);
  const client = await home.client();
  const vm = await client.showVm("ports");
  const { kind, why } = await client.showNetwork();
  for (const [address, port] of [
    ["0.0.0.0", PORT],
    ["127.0.0.1", INNER_PORT],
  ] as const) {
    await must(home, ["exec", "-d", "ports", "--", "perl", "-e", SERVER, address, String(port)]);
    await must(home, ["exec", "ports", "--", "sh", "-c", `until [ -e /run/ready-${port} ]; do :; done`]);
  }
  const [routed, inner] = (vm.spec.ports ?? []).map(({ hostPort }) => tcp("127.0.0.1", hostPort));
  if (routed === undefined || inner === undefined) throw new Error("the ports are not published");
  const tap = kind === "namespace" ? tcp(vm.address, PORT) : undefined;
  if (tap === undefined) process.stderr.write(`no tap to compare with: ${why ?? kind}\n`);
  const rows = await compare("over the agent's channel", inner, tap);
  if (tap !== undefined) {
    rows.push(...(await compare("over the route", routed, tap)));
    rows.push(...(await benchFloor(tap, bareArgv(vm.pid ?? 0), join(scratch, "floor"))));
  }
  await must(home, ["rm", "-f", "ports"]);
  return rows;
}

const LARGE = {
  out: `${LARGE_MIB} MiB out of the guest`,
  into: `${LARGE_MIB} MiB into the guest`,
  ping: "1 byte there and back",
} as const;

async function compare(name: string, published: Way, tap: Way | undefined): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [what, work] of [
    [LARGE.out, takeAll],
    [LARGE.into, giveAll],
    [LARGE.ping, pings],
    ["connect, 1 byte there and back", connects],
  ] satisfies [string, (way: Way) => Promise<number[]>][]) {
    rows.push(row(`${name}: ${what}`, await both(published, tap, work)));
  }
  return rows;
}

/** Its connection stays, so that there is none to measure; while the tap has its turn the relay sees the service end. */
async function benchFloor(tap: Way, argv: readonly string[], dir: string): Promise<Row[]> {
  await using floor = await openPortFloor(argv, { dir, service: SERVER, port: INNER_PORT });
  const way: Way = { open: async () => floor.socket, close: () => undefined };
  const rows: Row[] = [];
  for (const [what, work] of [
    [LARGE.out, takeAll],
    [LARGE.into, giveAll],
    [LARGE.ping, pings],
  ] as const) {
    const [ours, theirs] = await measure(way, tap, work);
    if (theirs !== undefined)
      rows.push(printedRow(`a relay in C over a port, no daemon: ${what} / through a tap`, ours, theirs));
  }
  return rows;
}

async function both(
  published: Way,
  tap: Way | undefined,
  work: (way: Way) => Promise<number[]>,
): Promise<{ ours: Sample; theirs: Sample | undefined }> {
  const [ours, theirs] = await measure(published, tap, work);
  return { ours, theirs };
}

/** In turns, so that what else the machine does meets both. */
async function measure(
  published: Way,
  tap: Way | undefined,
  work: (way: Way) => Promise<number[]>,
): Promise<readonly [Sample, Sample | undefined]> {
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let run = 0; run < RUNS; run += 1) {
    ours.push(...(await work(published)));
    if (tap !== undefined) theirs.push(...(await work(tap)));
  }
  return [summarise(ours), tap === undefined ? undefined : summarise(theirs)];
}

function row(
  name: string,
  { ours, theirs }: { readonly ours: Sample; readonly theirs: Sample | undefined },
): Row {
  const title = `published port ${name}`;
  if (theirs === undefined) return limitRow(`${title}, ms (no tap to compare with)`, ours.medianMs, {});
  return ratioRow(`${title} / through a tap`, ours, theirs, MOST);
}

async function takeAll(way: Way): Promise<number[]> {
  return [await timed(async () => await take(way))];
}

async function take(way: Way): Promise<void> {
  const socket = await way.open();
  let left = LARGE_MIB * MIB;
  const complete = Promise.withResolvers<void>();
  const onData = (bytes: Uint8Array): void => {
    left -= bytes.length;
    if (left <= 0) complete.resolve();
  };
  socket.on("data", onData).write("s");
  await complete.promise;
  socket.off("data", onData);
  way.close(socket);
  if (left !== 0) throw new Error(`${-left} bytes are too many`);
}

async function giveAll(way: Way): Promise<number[]> {
  return [await timed(async () => await give(way))];
}

async function give(way: Way): Promise<void> {
  const socket = await way.open();
  const piece = Buffer.alloc(MIB, "y");
  socket.write("r");
  const answered = once(socket, "data") as Promise<[Uint8Array]>;
  for (let sent = 0; sent < LARGE_MIB; sent += 1) {
    if (!socket.write(piece)) await once(socket, "drain");
  }
  const [answer] = await answered;
  if (answer.length !== 1) throw new Error("the guest said something else");
  way.close(socket);
}

async function pings(way: Way): Promise<number[]> {
  const socket = await way.open();
  socket.write("e");
  const times = await series(PINGS, async () => await ping(socket));
  socket.write("q");
  way.close(socket);
  return times;
}

async function connects(way: Way): Promise<number[]> {
  return await series(CONNECTS, async () => {
    const socket = await way.open();
    socket.write("e");
    await ping(socket);
    way.close(socket);
  });
}

async function ping(socket: Socket): Promise<void> {
  const answered = once(socket, "data");
  socket.write("p");
  await answered;
}

async function series(count: number, work: () => Promise<void>): Promise<number[]> {
  const times: number[] = [];
  for (let at = 0; at < count; at += 1) times.push(await timed(work));
  return times;
}

function tcp(host: string, port: number): Way {
  return {
    open: async () => {
      const socket = connect({ host, port, noDelay: true, allowHalfOpen: true });
      await once(socket, "connect");
      return socket;
    },
    close: (socket) => socket.destroy(),
  };
}
