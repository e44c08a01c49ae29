/**
 * What a service on a guest's loopback costs at least over a virtio-serial port: QEMU alone with a second port, and in its guest a relay
 * in C that does nothing else. There is no daemon on the way, and no protocol.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { Agent } from "../src/guest/agent.ts";
import { createDisk } from "../src/storage/disks.ts";
import { bootDeadline, configureBare, startBareQemu } from "./bare-qemu.ts";
import { ROOT, spawn } from "./tools.ts";

const PUT_MS = 60_000;
/** Linux names ports by their controller and number, whatever their own name is. */
const FIND_PORT = "for port in /dev/vport*p2; do exec /run/relay $port $0; done";

export interface PortFloor extends AsyncDisposable {
  /** To the relay; one connection to the service after the other. */
  readonly socket: Socket;
}

/**
 * Boots the machine of `argv` (see `bareArgv`) in `dir`, which is made.
 * @param service a Perl program that listens; its arguments are an address and a port, and it makes `/run/ready-PORT` when it does.
 */
export async function openPortFloor(
  argv: readonly string[],
  { dir, service, port }: { readonly dir: string; readonly service: string; readonly port: number },
): Promise<PortFloor> {
  await createDisk(join(dir, "disk.ext4"), 2 * 2 ** 30);
  const relay = join(dir, "relay");
  await spawn(["cc", "-O2", "-static", "-o", relay, join(ROOT, "bench/port-relay.c")]);
  await using cleanup = new AsyncDisposableStack();
  const path = join(dir, "extra.sock");
  const qemu = cleanup.use(await startBareQemu(withSecondPort(argv, path), dir));
  const agent = await Agent.connect(qemu.channel, { fresh: true, signal: bootDeadline() });
  await configureBare(agent);
  const content = await Bun.file(relay).bytes();
  await agent.writeFile("/run/relay", { mode: 0o755, content, timeoutMs: PUT_MS });
  const socket = cleanup.adopt(connect(path), (opened) => void opened.destroy());
  await once(socket, "connect");
  const run = async (...words: string[]): Promise<number> =>
    await agent.execDetached(words[0] ?? "", {
      argv: words.slice(1),
      env: {},
      cwd: undefined,
      user: undefined,
      tty: undefined,
      timeoutMs: 0,
    });
  await run("service", "perl", "-e", service, "127.0.0.1", String(port));
  const ready = `until [ -e /run/ready-${port} ]; do :; done; ${FIND_PORT}`;
  await run("relay", "sh", "-c", ready, String(port));
  const owned = cleanup.move();
  return { socket, [Symbol.asyncDispose]: async () => await owned.disposeAsync() };
}

function withSecondPort(argv: readonly string[], path: string): string[] {
  const port = { driver: "virtserialport", bus: "serial.0", nr: 2, chardev: "extra", name: "extra" };
  return [
    ...argv.map((word) => word.replace('"max_ports":2', '"max_ports":3')),
    "-chardev",
    `socket,id=extra,path=${path},server=on,wait=off`,
    "-device",
    JSON.stringify(port),
  ];
}
