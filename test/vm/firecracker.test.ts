/** Level 3: real guests under Firecracker, where KVM runs guests. The rest of test/vm takes the best driver by itself. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createFirecrackerDriver } from "../../src/vmm/firecracker/driver.ts";
import { addDevImage } from "../support/dev-image.ts";
import { findRealPrograms } from "../support/firecracker-stub/real-programs.ts";
import { createRealHome } from "../support/real-home.ts";

const programs = findRealPrograms("real guests under Firecracker (level 3)");
const refusal = programs === undefined ? undefined : await whyNot(programs.bin, programs.jailerBin);
if (refusal !== undefined) console.warn(`skipped: real guests under Firecracker (level 3): ${refusal}`);

describe.skipIf(programs === undefined || refusal !== undefined)("under Firecracker", () => {
  const env = {
    BANGER_VMM_FIRECRACKER_BIN: programs?.bin ?? "",
    BANGER_VMM_FIRECRACKER_JAILER_BIN: programs?.jailerBin ?? "",
  };

  test("run --rm prints, passes the exit code on, feeds stdin, and leaves nothing", async () => {
    await using home = await createRealHome();
    const run = ["run", "--rm", "--vmm", "firecracker", "--"];
    expect(await home.banger([...run, "uname", "-s"], { env })).toMatchObject({ code: 0, stdout: "Linux\n" });
    expect((await home.banger([...run, "sh", "-c", "exit 42"], { env })).code).toBe(42);
    expect(await home.banger([...run, "cat"], { env, stdin: "hi" })).toMatchObject({ code: 0, stdout: "hi" });
    expect((await home.banger(["ps", "-a", "-q"], { env })).stdout).toBe("");
    expect(home.hypervisors()).toEqual([]);
  });

  test("what was written before a stop is there after the next start, and a disk grows while it runs", async () => {
    await using home = await createRealHome();
    const must = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await home.banger(args, { env });
      if (code !== 0) throw new Error(`${args.join(" ")}: ${stderr}`);
      return stdout;
    };
    await must("run", "-d", "-q", "--name", "web", "--vmm", "firecracker", "--disk", "512M");
    await must("exec", "web", "--", "sh", "-c", "echo kept > /root/kept");
    await must("pause", "web");
    await must("resume", "web");
    await must("set", "web", "--disk", "1G");
    expect(
      Number(await must("exec", "web", "--", "sh", "-c", "df -m --output=size / | tail -1")),
    ).toBeGreaterThan(900);
    await must("restart", "web");
    expect(await must("exec", "web", "--", "cat", "/root/kept")).toBe("kept\n");
    expect(JSON.parse(await must("show", "--json", "web"))).toMatchObject({ driver: "firecracker" });
    await must("rm", "-f", "web");
  });

  test("a kernel that was imported boots, and so does the init of an image", async () => {
    await using home = await createRealHome();
    await addDevImage(home.home);
    const must = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await home.banger(args, { env });
      if (code !== 0) throw new Error(`${args.join(" ")}: ${stderr}`);
      return stdout;
    };
    const [id = ""] = readdirSync(join(home.home, "kernels"));
    const kernel = join(home.home, "kernels", id);
    await must(
      "kernel",
      "import",
      "-q",
      "mine",
      join(kernel, "vmlinux"),
      "--modules",
      join(kernel, "modules"),
    );
    const run = ["run", "--rm", "--vmm", "firecracker"];
    expect(await must(...run, "--kernel", "mine", "--", "uname", "-s")).toBe("Linux\n");
    const look = ["--image", "debian-dev", "--", "readlink", "/proc/1/exe"];
    expect(await must(...run, ...look)).toBe("/usr/lib/systemd/systemd\n");
    expect(await must(...run, "--init", "agent", ...look)).toContain("/init");
  }, 600_000);
});

async function whyNot(bin: string, jailerBin: string | undefined): Promise<string | undefined> {
  const scratch = mkdtempSync(join(tmpdir(), "fc-probe-"));
  try {
    const report = await createFirecrackerDriver({
      verdictCachePath: join(scratch, "verdicts.json"),
      chrootBase: join(scratch, "jails"),
      binary: bin,
      jailerBinary: jailerBin ?? join(dirname(bin), "jailer"),
    }).probe();
    return report.available ? undefined : report.reason;
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
