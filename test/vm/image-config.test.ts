/** What an image says about how it runs, obeyed by a real guest: an image of one static program and nothing else. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type LayerEntry, layerTar } from "../../src/images/layers/testing.ts";
import { runProgram } from "../../src/lib/run-program.ts";
import { type WrittenConfig, writeOciArchive } from "../support/oci-archive.ts";
import { createRealHome, type RealHome } from "../support/real-home.ts";

/** Says who and where it is; or waits for a signal and writes down which it was; or reads a file. */
const PROGRAM = `
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
extern char **environ;
static void heard(int signal) {
  FILE *file = fopen("/tmp/signal", "w");
  fprintf(file, "%d\\n", signal);
  fclose(file);
  _exit(3);
}
int main(int argc, char **argv) {
  if (argc > 1 && !strcmp(argv[1], "wait")) {
    signal(SIGQUIT, heard);
    signal(SIGTERM, heard);
    fprintf(stderr, "waiting\\n");
    for (;;) pause();
  }
  if (argc > 2 && !strcmp(argv[1], "read")) {
    char line[100];
    FILE *file = fopen(argv[2], "r");
    if (!file || !fgets(line, sizeof line, file)) return 1;
    printf("%s", line);
    return 0;
  }
  char cwd[4096];
  printf("cwd %s\\nids %d:%d", getcwd(cwd, sizeof cwd), getuid(), getgid());
  gid_t groups[32];
  int count = getgroups(32, groups);
  for (int at = 0; at < count; at++) printf(" %d", groups[at]);
  printf("\\nargs");
  for (int at = 1; at < argc; at++) printf(" %s", argv[at]);
  printf("\\nenv %s %s %s\\n", getenv("FOO"), getenv("HOME"), getenv("PATH"));
  struct stat data, deep;
  printf("volumes %d %d\\n", !stat("/data", &data) && S_ISDIR(data.st_mode), !stat("/var/lib/deep", &deep));
  return 0;
}
`;

const USERS: readonly LayerEntry[] = [
  { path: "etc", kind: "directory" },
  { path: "etc/passwd", content: "root:x:0:0::/root:/bin/sh\napp:x:1000:1001:App:/home/app:/bin/sh\n" },
  { path: "etc/group", content: "root:x:0:\nweb:x:2000:\nextra:x:2001:app\n" },
];

let home: RealHome;
let program: LayerEntry;

beforeAll(async () => {
  home = await createRealHome();
  const source = join(home.home, "show.c");
  const binary = join(home.home, "show");
  writeFileSync(source, PROGRAM);
  await runProgram(["cc", "-static", "-o", binary, source]);
  const content = Buffer.from(await Bun.file(binary).bytes()).toString("latin1");
  program = { path: "bin/show", mode: 0o755, content };
});

afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

async function importImage(
  name: string,
  { entries, config }: { readonly entries: readonly LayerEntry[]; readonly config: WrittenConfig },
): Promise<void> {
  const dir = join(home.home, `archive-${name}`);
  mkdirSync(dir);
  const layer = join(dir, "layer.tar");
  writeFileSync(layer, layerTar(entries));
  const archive = await writeOciArchive(dir, { layers: [layer], config });
  expect(await home.banger(["image", "import", name, archive])).toMatchObject({ code: 0 });
}

test("entrypoint, command, environment, directory, user and volumes of the image are obeyed", async () => {
  await importImage("app", {
    entries: [...USERS, program],
    config: {
      Entrypoint: ["/bin/show", "first"],
      Cmd: ["second"],
      Env: ["FOO=image", "PATH=/bin"],
      WorkingDir: "/made/for/it",
      User: "app:web",
      Volumes: { "/data": {}, "/var/lib/deep": {} },
      ExposedPorts: { "8080/tcp": {} },
      Labels: { "org.example.team": "images" },
    },
  });
  const facts = (over: Readonly<Record<string, string>> = {}): string => {
    const lines = {
      cwd: "/made/for/it",
      ids: "1000:2000",
      args: "first second",
      env: "image /home/app /bin",
    };
    return `${Object.entries({ ...lines, volumes: "1 1", ...over })
      .map(([name, value]) => `${name} ${value}`)
      .join("\n")}\n`;
  };
  const run = await home.banger(["run", "--name", "app", "--image", "app"]);
  expect(run).toMatchObject({ code: 0, stdout: facts() });

  const shown = (await home.banger(["show", "app"])).stdout;
  expect(shown).toMatch(/^serves +8080\/tcp$/mu);
  expect(shown).toMatch(/^labels +org\.example\.team=images$/mu);

  // A command of one's own takes the place of the image's, not of its user and directory.
  const exec = async (...args: string[]): Promise<string> => (await home.banger(["exec", ...args])).stdout;
  expect(await exec("app", "--", "show", "own")).toBe(facts({ args: "own" }));
  // Without a group the user's own, with all that it is in.
  expect(await exec("-u", "app", "-w", "/", "app", "--", "show")).toBe(
    facts({ cwd: "/", ids: "1000:1001 2001", args: "" }).replace("args ", "args"),
  );
  expect(await exec("-u", "4242:4343", "-e", "FOO=own", "app", "--", "show", "x")).toBe(
    facts({ ids: "4242:4343", args: "x", env: "own / /bin" }),
  );
  const unknown = await home.banger(["exec", "-u", "nobody-here", "app", "--", "show"]);
  expect(unknown.code).not.toBe(0);
  expect(unknown.stderr).toContain("nobody-here");
  await home.must(["rm", "-f", "app"]);
});

test("the stop signal of the image asks the main command to end, and TERM every other one", async () => {
  await importImage("stops", {
    entries: [program],
    config: { Entrypoint: ["/bin/show"], Cmd: ["wait"], StopSignal: "SIGQUIT" },
  });
  const main = home.start(["run", "--name", "stops", "--image", "stops"]);
  await main.said("waiting");
  expect(await home.banger(["stop", "stops"])).toMatchObject({ code: 0 });
  await main.result;
  expect(await home.banger(["start", "stops"])).toMatchObject({ code: 0 });
  expect((await home.banger(["exec", "stops", "--", "/bin/show", "read", "/tmp/signal"])).stdout).toBe("3\n");

  const other = home.start(["exec", "stops", "--", "/bin/show", "wait"]);
  await other.said("waiting");
  expect(await home.banger(["restart", "stops"])).toMatchObject({ code: 0 });
  await other.result;
  expect((await home.banger(["exec", "stops", "--", "/bin/show", "read", "/tmp/signal"])).stdout).toBe(
    "15\n",
  );
  await home.must(["rm", "-f", "stops"]);
});

test("an image of one static program, without users, runs as a number and as root", async () => {
  await importImage("bare", { entries: [program], config: { Cmd: ["/bin/show"], User: "1234:5678" } });
  const run = await home.banger(["run", "--name", "bare", "--image", "bare"]);
  expect(run).toMatchObject({ code: 0 });
  expect(run.stdout).toContain("ids 1234:5678\n");
  const root = await home.banger(["exec", "-u", "root", "bare", "--", "/bin/show"]);
  expect(root.stdout).toContain("ids 0:0\n");
  await home.must(["rm", "-f", "bare"]);
});
