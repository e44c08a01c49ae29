import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ssh2 from "ssh2";
import { refusal } from "../../test/support/refusal.ts";
import { generateKey, SshKeyring } from "./ssh-keys.ts";

test("every key that is made can be read, its public half is its own, and ssh-keygen agrees", async () => {
  for (let count = 0; count < 1000; count += 1) {
    const key = generateKey(ssh2.utils);
    const read = ssh2.utils.parseKey(key.private);
    if (read instanceof Error) throw read;
    expect(`${read.type} ${read.getPublicSSH().toString("base64")}`).toBe(key.public);
  }
  using home = createHome();
  const { identityFile, publicKey } = await home.keys.ensure();
  const said = Bun.spawnSync(["ssh-keygen", "-y", "-f", identityFile]).stdout.toString();
  expect(said.split(" ").slice(0, 2).join(" ").trim()).toBe(publicKey);
});

test("keys are made once and are the user's alone; a VM's is known by its names for as long as there is the VM", async () => {
  using home = createHome();
  const first = await home.keys.open(home.vms[0]);
  expect(await home.keys.open(home.vms[0])).toEqual(first);
  expect((await home.keys.open(home.vms[1])).hostKey).not.toBe(first.hostKey);
  expect((statSync(first.identityFile).mode & 0o777).toString(8)).toBe("600");
  const known = (): string[] => readFileSync(first.knownHostsFile, "utf8").trim().split("\n");
  expect(known().map((line) => line.split(" ")[0])).toEqual(["one.vm,1.vm", "two.vm,2.vm"]);
  home.listed.shift();
  home.keys.writeKnownHosts();
  expect(known().map((line) => line.split(" ")[0])).toEqual(["two.vm,2.vm"]);
});

test("a file that is no key is refused, with the cure, and not replaced", async () => {
  using home = createHome();
  const { identityFile } = await home.keys.ensure();
  writeFileSync(identityFile, "not a key");
  const error = await refusal(home.keys.ensure());
  expect(error).toMatchObject({ code: "failed_precondition", cure: expect.stringContaining("rm ") });
  expect(readFileSync(identityFile, "utf8")).toBe("not a key");
});

interface Vm {
  readonly id: string;
  readonly name: string;
}

function createHome(): Disposable & { keys: SshKeyring; vms: readonly [Vm, Vm]; listed: Vm[] } {
  const dir = mkdtempSync(join(tmpdir(), "banger-keys-"));
  const vms = [
    { id: "1", name: "one" },
    { id: "2", name: "two" },
  ] as const;
  for (const { id } of vms) mkdirSync(join(dir, id));
  const listed: Vm[] = [...vms];
  const layout = {
    sshDir: join(dir, "ssh"),
    sshIdentity: join(dir, "ssh/id_ed25519"),
    sshKnownHosts: join(dir, "ssh/known_hosts"),
    sshHostKey: (id: string) => join(dir, id, "key"),
  };
  return {
    keys: new SshKeyring({ layout, vms: () => listed }),
    vms,
    listed,
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  };
}
