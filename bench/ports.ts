/**
 * A service of the guest over a published port against the same service by the guest's address, through its tap: one on all addresses, whose
 * published port goes over the route to it, and one on the guest's loopback, whose published port rides the agent's channel.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { RealHome } from "../test/support/real-home.ts";
import { limitRow, type Row, ratioRow, type Sample, summarise } from "./stats.ts";
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

/** One process a connection. The first byte says what is wanted: `s`, to be sent so much; `r`, to read to the end and say so; `e`, each byte back. */
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
  elsif ($what eq "r") { while (sysread($c, $b, 65536)) {} syswrite($c, "k") }
  else { while (sysread($c, $b, 1)) { syswrite($c, $b) } }
  exit;
}`;

interface Way {
  readonly host: string;
  readonly port: number;
}

/** Rows of throughput both ways and of latency; without network cards only what the published port does. */
export async function benchPorts(home: RealHome): Promise<Row[]> {
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
  const [routed, inner] = (vm.spec.ports ?? []).map(({ hostPort }) => ({
    host: "127.0.0.1",
    port: hostPort,
  }));
  if (routed === undefined || inner === undefined) throw new Error("the ports are not published");
  const tap = kind === "namespace" ? { host: vm.address, port: PORT } : undefined;
  if (tap === undefined) process.stderr.write(`no tap to compare with: ${why ?? kind}\n`);
  const rows = await compare("over the agent's channel", inner, tap);
  if (tap !== undefined) rows.push(...(await compare("over the route", routed, tap)));
  await must(home, ["rm", "-f", "ports"]);
  return rows;
}

async function compare(name: string, published: Way, tap: Way | undefined): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [what, work] of [
    [`${LARGE_MIB} MiB out of the guest`, async (way) => [await timed(async () => await takeAll(way))]],
    [`${LARGE_MIB} MiB into the guest`, async (way) => [await timed(async () => await giveAll(way))]],
    ["1 byte there and back", pings],
    ["connect, 1 byte there and back", connects],
  ] satisfies [string, (way: Way) => Promise<number[]>][]) {
    rows.push(row(`${name}: ${what}`, await both(published, tap, work)));
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

async function takeAll(way: Way): Promise<void> {
  const socket = await open(way);
  let left = LARGE_MIB * MIB;
  socket.on("data", (bytes: Uint8Array) => {
    left -= bytes.length;
  });
  socket.write("s");
  await once(socket, "end");
  socket.destroy();
  if (left !== 0) throw new Error(`${left} bytes are missing`);
}

async function giveAll(way: Way): Promise<void> {
  const socket = await open(way);
  const piece = Buffer.alloc(MIB, "y");
  socket.write("r");
  for (let sent = 0; sent < LARGE_MIB; sent += 1) {
    if (!socket.write(piece)) await once(socket, "drain");
  }
  socket.end();
  const [answer] = (await once(socket, "data")) as [Uint8Array];
  if (answer.length !== 1) throw new Error("the guest said something else");
  socket.destroy();
}

async function pings(way: Way): Promise<number[]> {
  const socket = await open(way);
  socket.write("e");
  const times = await series(PINGS, async () => await ping(socket));
  socket.destroy();
  return times;
}

async function connects(way: Way): Promise<number[]> {
  return await series(CONNECTS, async () => {
    const socket = await open(way);
    socket.write("e");
    await ping(socket);
    socket.destroy();
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

async function open({ host, port }: Way): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true, allowHalfOpen: true });
  await once(socket, "connect");
  return socket;
}
