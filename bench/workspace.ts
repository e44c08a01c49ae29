/** A repository of 5,000 files and 2,000 commits into a guest, against git itself over ssh into the same guest, and what a second sync sends. */
import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { RealHome } from "../test/support/real-home.ts";
import { sshImage } from "./ssh-image.ts";
import { limitRow, type Row, ratioRow, summarise } from "./stats.ts";
import { must, spawn, timed } from "./tools.ts";

const FILES = 5_000;
const COMMITS = 2_000;
const RUNS = 3;
const SYNC_BYTES = 20_000;

export async function benchWorkspace(home: RealHome, scratch: string): Promise<Row[]> {
  const repository = join(scratch, "repo");
  await makeRepository(repository);
  await must(home, ["image", "import", "ssh", await sshImage()]);
  const [ours, theirs, bytes]: [number[], number[], number[]] = [[], [], []];
  for (let run = 0; run < RUNS; run += 1) {
    // A VM that runs: its start is the same for both, and would only hide the difference.
    await must(home, ["run", "-d", "-q", "--name", "bench", "--image", "ssh", "--memory", "1G"]);
    const push = await preparePush(home, { scratch, repository });
    theirs.push(await timed(push));
    ours.push(
      await timed(async () => {
        await must(home, ["workspace", "import", "-q", "--guest-path", "/root/ours", "bench", repository]);
        await must(home, ["exec", "bench", "--", "true"]);
      }),
    );
    appendFileSync(join(repository, "dir-1/file-1"), "one line more\n");
    const { stdout } = await must(home, ["workspace", "sync", "--json", "bench"]);
    bytes.push(bytesOf(stdout));
    await must(home, ["rm", "-f", "bench"]);
  }
  const most = Math.max(...bytes);
  return [
    ratioRow(
      "workspace of 5,000 files, 2,000 commits / git over ssh",
      summarise(ours),
      summarise(theirs),
      0.5,
    ),
    limitRow("bytes of a second workspace sync after one line", most, { most: SYNC_BYTES }),
  ];
}

/** The same seed makes the same repository. */
async function makeRepository(directory: string): Promise<void> {
  mkdirSync(directory);
  let seed = 1;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed % below;
  };
  const content = (): string =>
    Array.from(
      { length: 10 + random(60) },
      () => `${random(1e9).toString(36)} ${random(1e9).toString(36)}`,
    ).join("\n");
  const name = (at: number): string => `dir-${at % 100}/file-${at}`;
  const parts: string[] = [];
  for (let commit = 0; commit < COMMITS; commit += 1) {
    const names =
      commit === 0
        ? Array.from({ length: FILES }, (_, at) => name(at))
        : [0, 1, 2].map(() => name(random(FILES)));
    parts.push(
      `commit refs/heads/main\ncommitter Bench <bench@example.com> ${1_600_000_000 + commit * 60} +0000\ndata 5\nbench\n`,
    );
    for (const one of names) {
      const text = content();
      parts.push(`M 100644 inline ${one}\ndata ${text.length}\n${text}\n`);
    }
  }
  await spawn(["git", "init", "-q", "-b", "main", directory]);
  const child = Bun.spawn(["git", "fast-import", "--quiet"], {
    cwd: directory,
    stdin: Buffer.from(parts.join("")),
  });
  if ((await child.exited) !== 0) throw new Error("git fast-import failed");
  await spawn(["git", "-C", directory, "checkout", "-q", "-f", "main"]);
  await spawn(["git", "-C", directory, "repack", "-adq"]);
}

/** What `git clone` over ssh does, begun from the host's side, as guests cannot reach it: a pack over ssh, index-pack and checkout in the guest. */
async function preparePush(
  home: RealHome,
  { scratch, repository }: { readonly scratch: string; readonly repository: string },
): Promise<() => Promise<void>> {
  const key = join(scratch, `key-${crypto.randomUUID()}`);
  await spawn(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]);
  await must(home, ["cp", `${key}.pub`, "bench:/root/authorized_keys"]);
  const script =
    "mkdir -p -m 700 /root/.ssh /run/sshd; mv /root/authorized_keys /root/.ssh/; ssh-keygen -A; " +
    "git init -q -b main /root/theirs; git -C /root/theirs config receive.denyCurrentBranch updateInstead";
  await must(home, ["exec", "bench", "--", "sh", "-ec", script]);
  const program = process.env["BANGER_PROGRAM"] ?? "banger";
  const proxy = `env BANGER_HOME=${home.home} ${program} exec bench -- /usr/sbin/sshd -i`;
  const ssh = [
    "ssh",
    "-q",
    "-i",
    key,
    "-o",
    `'ProxyCommand=${proxy}'`,
    "-o",
    "StrictHostKeyChecking=no",
    "-o",
    "UserKnownHostsFile=/dev/null",
  ];
  return async () => {
    const push = [
      "git",
      "-C",
      repository,
      "-c",
      `core.sshCommand=${ssh.join(" ")}`,
      "push",
      "-q",
      "root@bench:/root/theirs",
      "main",
    ];
    await spawn(push);
    await must(home, ["exec", "bench", "--", "true"]);
  };
}

function bytesOf(lines: string): number {
  const last = lines.trim().split("\n").at(-1) ?? "";
  const { result } = JSON.parse(last) as { result: { bytes: number } };
  return result.bytes;
}
