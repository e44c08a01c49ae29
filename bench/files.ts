/** Copies between this host and a guest: one large file and a tree of small ones, against scp and tar over ssh into the same guest. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RealHome } from "../test/support/real-home.ts";
import { benchEcho } from "./echo.ts";
import { sshImage } from "./ssh-image.ts";
import { type Row, ratioRow, summarise } from "./stats.ts";
import { must, spawn, timed } from "./tools.ts";

const LARGE_BYTES = 256 * 1024 * 1024;
const SMALL_FILES = 10_000;
const RUNS = 3;
const SSHD = "/usr/sbin/sshd";

/**
 * What comes out has a new place each time: where ten thousand files have just been removed, ext4 looks at each of their inodes before it gives
 * one to a new file (`recently_deleted` of its ialloc.c), and a copy takes two or three times as long, whoever makes it.
 */
export async function benchFiles(home: RealHome, scratch: string): Promise<Row[]> {
  await must(home, ["image", "import", "ssh", await sshImage()]);
  await must(home, ["run", "-d", "-q", "--name", "files", "--memory", "1G", "--image", "ssh"]);
  const ssh = await openSsh(home, scratch);
  makeInputs(scratch);
  const rows: Row[] = [];
  for (const { what, name, least } of [
    { what: "256 MB", name: "large", least: 3 },
    { what: "10,000 small files", name: "tree", least: 2 },
  ]) {
    const times = {
      in: [] as number[],
      out: [] as number[],
      theirIn: [] as number[],
      theirOut: [] as number[],
    };
    for (let run = 0; run < RUNS; run += 1) {
      await must(home, ["exec", "files", "--", "rm", "-rf", "/root/in", "/root/scp"]);
      const source = join(scratch, name);
      times.in.push(await timed(async () => await must(home, ["cp", source, "files:/root/in"])));
      const out = join(scratch, `out-${name}-${run}`);
      times.out.push(await timed(async () => await must(home, ["cp", "files:/root/in", out])));
      times.theirIn.push(await timed(async () => await ssh.copyIn(name)));
      times.theirOut.push(
        await timed(async () => await ssh.copyOut(name, join(scratch, `scp-${name}-${run}`))),
      );
    }
    rows.push(row(`cp of ${what} in`, times.in, { theirs: times.theirIn, least }));
    rows.push(row(`cp of ${what} out`, times.out, { theirs: times.theirOut, least }));
  }
  rows.push(...(await benchEcho(home, "files", scratch)));
  await must(home, ["rm", "-f", "files"]);
  return rows;
}

function row(
  name: string,
  ours: readonly number[],
  { theirs, least }: { readonly theirs: readonly number[]; readonly least: number },
): Row {
  return ratioRow(`${name} / over ssh`, summarise(ours), summarise(theirs), 1 / least);
}

function makeInputs(scratch: string): void {
  const bytes = crypto.getRandomValues(new Uint8Array(65_536));
  writeFileSync(
    join(scratch, "large"),
    Buffer.concat(Array.from({ length: LARGE_BYTES / bytes.length }, () => bytes)),
  );
  for (let at = 0; at < SMALL_FILES; at += 1) {
    const directory = join(scratch, "tree", String(at % 100));
    if (at < 100) mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `file-${at}`), bytes.subarray(0, 200 + ((at * 37) % 4_000)));
  }
}

interface Ssh {
  copyIn(name: string): Promise<void>;
  copyOut(name: string, to: string): Promise<void>;
}

/** An sshd of the guest on the agent's channel, one process a connection, as a user without a network would have it. */
async function openSsh(home: RealHome, scratch: string): Promise<Ssh> {
  const key = join(scratch, "key");
  await spawn(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]);
  await must(home, ["cp", `${key}.pub`, "files:/root/authorized_keys"]);
  await must(home, [
    "exec",
    "files",
    "--",
    "sh",
    "-ec",
    "mkdir -p -m 700 /root/.ssh /run/sshd; mv /root/authorized_keys /root/.ssh/; ssh-keygen -A",
  ]);
  const program = process.env["BANGER_PROGRAM"] ?? "banger";
  const proxy = `env BANGER_HOME=${home.home} ${program} exec files -- ${SSHD} -i`;
  const options = [
    "-q",
    "-i",
    key,
    "-o",
    `ProxyCommand=${proxy}`,
    "-o",
    "StrictHostKeyChecking=no",
    "-o",
    "UserKnownHostsFile=/dev/null",
  ];
  const quoted = ["ssh", ...options, "root@files"].map((word) => `'${word}'`).join(" ");
  return {
    copyIn: async (name) =>
      name === "large"
        ? await spawn(["scp", ...options, join(scratch, name), "root@files:/root/scp"])
        : await spawn([
            "sh",
            "-c",
            `tar -C '${scratch}' -cf - ${name} | ${quoted} 'mkdir /root/scp && tar -C /root/scp -xf -'`,
          ]),
    copyOut: async (name, to) =>
      name === "large"
        ? await spawn(["scp", ...options, "root@files:/root/scp", to])
        : await spawn([
            "sh",
            "-c",
            `mkdir '${to}' && ${quoted} 'tar -C /root/scp -cf - ${name}' | tar -C '${to}' -xf -`,
          ]),
  };
}
