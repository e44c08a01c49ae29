/** The configuration of a host: its sources and their precedence, and everything that is refused. */
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "../lib/run-program.ts";
import type { Config } from "../model/config.ts";
import { CONFIG_PROPERTIES, defaultConfig, keyOf, showValue, variableOf } from "../model/config-lookup.ts";
import { BangerError } from "../model/errors.ts";
import { type LoadedConfig, loadConfig } from "./config.ts";
import { MAX_CONFIG_BYTES } from "./config-file.ts";

const HOST = { cores: 8, memoryMib: 16_384 };

/** Two allowed values of each key that are not its default. */
const OTHERS: { readonly [P in keyof Config]: readonly [fromFile: string | number, fromVariable: string] } = {
  logLevel: ["debug", "warn"],
  defaultImage: ["alpine", "fedora"],
  detachKeys: ["ctrl-x,d", "none"],
  vcpus: [3, "5"],
  memoryMib: ["3G", "5G"],
  diskMib: ["3G", "5G"],
  addressPool: ["10.1.0.0/16", "10.2.0.0/16"],
  pool6: ["fd01:2::/64", "fd03:4::/64"],
  networkWay: ["namespace", "channel"],
  tapPoolSize: [3, "5"],
  dnsPort: [3, "5"],
  bootTimeoutMs: ["3m", "5m"],
  stopTimeoutMs: ["3s", "5s"],
  autoStopAfterMs: ["3h", "5h"],
  diskRate: ["200M", "300M"],
  diskIops: [300, "500"],
  networkRate: ["20M", "30M"],
  qemuBin: ["my-qemu", "your-qemu"],
  qemuAccelerator: ["kvm", "tcg"],
  firecrackerBin: ["my-fc", "your-fc"],
  firecrackerJailer: ["on", "off"],
  firecrackerJailerBin: ["my-jailer", "your-jailer"],
  firecrackerChrootBase: ["/srv/mine", "/srv/yours"],
  firecrackerTransport: ["pci", "pci"],
  templatesMaxCount: [3, "5"],
  templatesMaxMib: ["3G", "5G"],
  warmPool: ['{"debian":3}', '{"debian":5}'],
  fileSync: [
    '[{"host":"/a","guest":"/root/a","mode":"0600"}]',
    '[{"host":"/b","guest":"/root/b","mode":"0644"}]',
  ],
  imageMaxEntries: [3000, "5000"],
  imageMaxSizeMib: ["3G", "5G"],
  imageMaxRatio: [300, "500"],
  imageMaxPathBytes: [300, "500"],
  imageMaxXattrBytes: [3000, "5000"],
  registries: ['{"a.io":{"mirrors":["m"],"ca":"/a.pem"}}', '{"b.io":{"mirrors":[],"insecure":true}}'],
  catalog: ['{"web":{"packages":["nginx"]}}', '{"db":{"reference":"some/db"}}'],
};

function createPlace(): Disposable & { readonly dir: string; readonly path: string } {
  const dir = mkdtempSync(join(tmpdir(), "banger-config-"));
  return { dir, path: join(dir, "config.toml"), [Symbol.dispose]: () => rmSync(dir, { recursive: true }) };
}

function load(
  toml: string | Uint8Array | undefined,
  env: Readonly<Record<string, string>> = {},
): LoadedConfig {
  using place = createPlace();
  if (toml !== undefined) writeFileSync(place.path, toml);
  return loadConfig({ path: place.path, env, host: HOST });
}

function refusalOf(work: () => unknown): BangerError {
  try {
    work();
  } catch (thrown) {
    const error = BangerError.from(thrown);
    expect(error.code).toBe("invalid_argument");
    expect(error.cure ?? "").not.toBe("");
    return error;
  }
  throw new Error("it was taken");
}

const toml = (property: keyof Config): string =>
  `${keyOf(property).path} = ${JSON.stringify(OTHERS[property][0])}\n`;

/** Each source shows as what was written in it. */
function seen(loaded: LoadedConfig, property: keyof Config): readonly [string, string] {
  return [String(showValue(property, loaded.values)), loaded.origins[property]];
}

test.each(CONFIG_PROPERTIES)("%s comes from the variable, else the file, else the default", (property) => {
  const { path } = keyOf(property);
  const [fromFile, fromVariable] = OTHERS[property];
  const env = { [variableOf(path)]: fromVariable };
  const byHost = showValue(property, defaultConfig(HOST));
  expect(seen(load(undefined), property)).toEqual([String(byHost), "default"]);
  expect(seen(load(toml(property)), property)).toEqual([String(fromFile), "file"]);
  expect(seen(load(undefined, env), property)).toEqual([fromVariable, "variable"]);
  expect(seen(load(toml(property), env), property)).toEqual([fromVariable, "variable"]);
  expect(seen(load(toml(property), { [variableOf(path)]: "" }), property)).toEqual([
    String(fromFile),
    "file",
  ]);
  // The other keys keep their defaults.
  const others = CONFIG_PROPERTIES.filter((other) => other !== property);
  expect(others.map((other) => load(toml(property), env).origins[other])).toEqual(
    others.map(() => "default"),
  );
});

test("a file with every key in it is read whole, as tables or as dotted keys", () => {
  const dotted = load(CONFIG_PROPERTIES.map(toml).join(""));
  const tables = load(`
log_level = "debug"
default_image = "alpine"
detach_keys = "ctrl-x,d"
boot_timeout = "3m"
stop_timeout = 3
auto_stop_after = "3h"
[vm_defaults]
vcpus = 3
memory = 3072
disk = "3G"
[network]
address_pool = "10.1.0.0/16"
pool6 = "fd01:2::/64"
mode = "namespace"
tap_pool_size = 3
dns_port = 3
[limits]
disk_rate = "200M"
disk_iops = 300
network_rate = "20M"
[vmm.qemu]
bin = "my-qemu"
accelerator = "kvm"
[vmm.firecracker]
bin = "my-fc"
jailer = "on"
jailer_bin = "my-jailer"
chroot_base = "/srv/mine"
transport = "pci"
[images]
max_entries = 3000
max_size = "3G"
max_ratio = 300
max_path = 300
max_xattr = 3000
[templates]
max_count = 3
max_size = "3G"
[warm_pool]
debian = 3
[[file_sync]]
host = "/a"
guest = "/root/a"
[registries."a.io"]
mirrors = ["m"]
ca = "/a.pem"
[catalog.web]
packages = ["nginx"]
`);
  expect(tables.values).toEqual(dotted.values);
  expect(new Set(Object.values(tables.origins))).toEqual(new Set(["file"]));
  expect(tables.hash).toMatch(/^[0-9a-f]{64}$/);
  expect(load(undefined).hash).toBeUndefined();
  expect(load("").values).toEqual(load(undefined).values);
});

test.each([
  ['log_levl = "debug"', "log_levl", "log_level", 1],
  ["\n[vm_default]\nvcpus = 1", "vm_default", "vm_defaults", 2],
  ["[vm_defaults]\nvcpus = 1\nmemroy = '1G'", "vm_defaults.memroy", "vm_defaults.memory", 3],
  ["memory = '1G'", "memory", "vm_defaults.memory", 1],
  ["[vmm.qeum]\nbin = 'x'", "vmm.qeum", "vmm.qemu", 1],
  ["'vm_defaults.memory' = '1G'", '"vm_defaults.memory"', "vm_defaults.memory", 1],
])("%j is refused: there is no %s, but there is %s", (text, wrong, meant, line) => {
  const error = refusalOf(() => load(text));
  expect(error.message).toContain(`config.toml, line ${line}: `);
  expect(error.message).toContain(`${wrong}; did you mean ${meant}?`);
  expect(error.cure).toContain(meant);
  expect(error.details["line"]).toBe(line);
});

test.each(["colour = 1", "__proto__ = 1", "constructor = 1", '"\\u0000" = 1', "[[colours]]\nred = 'x'"])(
  "%j is like no key: the cure names all keys",
  (text) => {
    const { message, cure } = refusalOf(() => load(text));
    expect(message).toContain("there is no configuration key");
    expect(message).not.toContain("\0");
    for (const property of CONFIG_PROPERTIES) expect(cure).toContain(keyOf(property).path);
  },
);

test.each(CONFIG_PROPERTIES)(
  "a bad %s is refused with key, value, file, line and what is allowed",
  (property) => {
    const { path, kind } = keyOf(property);
    const env = { [variableOf(path)]: OTHERS[property][1] };
    for (const [written, shown] of [
      ['"no/such /value"', '"no/such /value"'],
      ["-7", "-7"],
      ["[1, 2]", "[1,2]"],
      ["{ a = [] }", '{"a":[]}'],
      ["1979-05-27", "1979-05-27"],
      [`"${"x".repeat(9000)}/"`, "xxx..."],
    ] as const) {
      // Also where a variable goes before it.
      const { message, details } = refusalOf(() => load(`# mine\n${path} = ${written}\n`, env));
      for (const part of ["config.toml, line 2", path, shown, kind.allowed]) expect(message).toContain(part);
      expect(message.length).toBeLessThan(400);
      expect(details).toMatchObject({ key: path, line: 2 });
    }
    expect(refusalOf(() => load(undefined, { [variableOf(path)]: "no/such /value" })).message).toContain(
      variableOf(path),
    );
  },
);

test("tables of registries are read, and a fault in one is refused with its field and line", () => {
  const text = '[registries."docker.io"]\nmirrors = ["m:5000"]\n[registries."localhost:5000"]\n';
  expect(load(`${text}insecure = true\n`).values.registries).toEqual({
    "docker.io": { mirrors: ["m:5000"], insecure: undefined, ca: undefined },
    "localhost:5000": { mirrors: [], insecure: true, ca: undefined },
  });
  const wrong = refusalOf(() => load(`${text}insecure = 1\n`));
  expect(wrong.message).toContain(
    'config.toml, line 4: registries."localhost:5000".insecure is "1", but it must be true or false',
  );
  expect(refusalOf(() => load(`${text}mirror = []\n`)).message).toContain("mirrors, insecure, ca");
  expect(refusalOf(() => load("[registries.'a/b']\n")).message).toContain("is no registry");
});

test("a key where a table belongs is refused", () => {
  const { message, cure } = refusalOf(() => load("vm_defaults = 3"));
  expect(message).toContain("vm_defaults is 3, but it must be a table");
  expect(cure).toContain("[vm_defaults]");
  expect(refusalOf(() => load("[[vmm]]\nqemu = 1")).message).toContain("must be a table");
});

test("a file that is not TOML is refused with its place", () => {
  const { message, details } = refusalOf(() => load('log_level = "info"\nvcpus == 2\n'));
  expect(message).toContain("config.toml, line 2, is not TOML: ");
  expect(details).toMatchObject({ line: 2 });
});

test("a file of a thousand lines is searched for its fault in good time", () => {
  const lines = Array.from({ length: 1000 }, (_, index) => `# ${index}\nk${index} = """\n${index}\n"""\n`);
  const from = performance.now();
  expect(refusalOf(() => load(`${lines.join("")}x = =`)).details["line"]).toBe(4001);
  expect(performance.now() - from).toBeLessThan(10_000);
});

test("a file that is too large, not UTF-8, no file, or out of reach is refused, and is not waited for", async () => {
  expect(refusalOf(() => load("#".repeat(MAX_CONFIG_BYTES + 1))).message).toContain("65537 bytes");
  expect(load("#".repeat(MAX_CONFIG_BYTES)).hash).toBeDefined();
  expect(refusalOf(() => load(new Uint8Array([0x23, 0xff]))).message).toContain("not UTF-8");
  using place = createPlace();
  const loadAt = (path: string): LoadedConfig => loadConfig({ path, env: {}, host: HOST });
  mkdirSync(place.path);
  expect(refusalOf(() => loadAt(place.path)).message).toContain("is not a file");
  // A link to itself cannot be opened, by root neither.
  symlinkSync("loop", join(place.dir, "loop"));
  expect(refusalOf(() => loadAt(join(place.dir, "loop"))).message).toContain("cannot be read: ELOOP");
  writeFileSync(join(place.dir, "file"), "");
  expect(refusalOf(() => loadAt(join(place.dir, "file/config.toml"))).message).toContain("ENOTDIR");
  await runProgram(["mkfifo", join(place.dir, "pipe")]);
  expect(refusalOf(() => loadAt(join(place.dir, "pipe"))).message).toContain("is not a file");
});

const GOOD = 'host = "/a"\nguest = "/root/a"\n';

test.each([
  ['host = "/a/../b"\nguest = "/root/a"', 'file_sync[1].host is "/a/../b"', 5],
  ['host = "a"\nguest = "/root/a"', 'file_sync[1].host is "a"', 5],
  ['host = "~other/a"\nguest = "/root/a"', 'file_sync[1].host is "~other/a"', 5],
  ['host = "~/../a"\nguest = "/root/a"', 'file_sync[1].host is "~/../a"', 5],
  ['host = "/a/"\nguest = "/root/a"', 'file_sync[1].host is "/a/"', 5],
  ['host = "/a\\u0000"\nguest = "/root/a"', "file_sync[1].host is ", 5],
  ['host = 7\nguest = "/root/a"', "file_sync[1].host is 7", 5],
  ['host = ["/a"]\nguest = "/root/a"', "file_sync[1].host is no text", 5],
  ['host = "/a"\n\nguest = "root/a"', 'file_sync[1].guest is "root/a"', 7],
  ['host = "/a"\nguest = "~/a"', 'file_sync[1].guest is "~/a"', 6],
  ['host = "/a"\nguest = "/etc/passwd"', 'file_sync[1].guest is "/etc/passwd"', 6],
  ['host = "/a"\nguest = "/rootless/a"', 'file_sync[1].guest is "/rootless/a"', 6],
  ['host = "/a"\nguest = "/root"', 'file_sync[1].guest is "/root"', 6],
  ['host = "/a"\nguest = "/root/"', 'file_sync[1].guest is "/root/"', 6],
  ['host = "/a"\nguest = "/root/../etc/x"', 'file_sync[1].guest is "/root/../etc/x"', 6],
  ['host = "/a"\nguest = "/root/a"', 'file_sync[1].guest is "/root/a", but file_sync[0] is written there', 6],
  ['host = "/a"\nguest = "/root/b"\nmode = "0888"', 'file_sync[1].mode is "0888"', 7],
  ['host = "/a"\nguest = "/root/b"\nmode = "4755"', 'file_sync[1].mode is "4755"', 7],
  ['host = "/a"\nguest = "/root/b"\nmode = "rw"', 'file_sync[1].mode is "rw"', 7],
  ['host = "/a"\nguest = "/root/b"\nmode = 600', "file_sync[1].mode is 600", 7],
  ['host = "/a"\nguest = "/root/b"\nmdoe = "0600"', "file_sync[1].mdoe is no field of it", 7],
  ['host = "/a"\nguest = "/root/b"\n__proto__ = "x"', "file_sync[1].__proto__ is no field of it", 7],
  ['host = "/a"', "file_sync[1] lacks guest", 4],
  ['guest = "/root/a"', "file_sync[1] lacks host", 4],
])("file_sync with %j is refused: %s", (entry, expected, line) => {
  const { message, details } = refusalOf(() => load(`[[file_sync]]\n${GOOD}[[file_sync]]\n${entry}\n`));
  expect(message).toContain(`config.toml, line ${line}: ${expected}`);
  expect(details["line"]).toBe(line);
});

test("~ in file_sync is HOME at the time of loading, from the file as from the variable", () => {
  const text = '[[file_sync]]\nhost = "~/.a"\nguest = "/root/.a"\n';
  const variable = { BANGER_FILE_SYNC: '[{"host":"~/.a","guest":"/root/.a"}]' };
  const entry = { host: "/home/$&/.a", guest: "/root/.a", mode: 0o600 };
  expect(load(text, { HOME: "/home/$&" }).values.fileSync).toEqual([entry]);
  expect(load(undefined, { HOME: "/home/$&/", ...variable }).values.fileSync).toEqual([entry]);
  expect(load(text, { HOME: "/" }).values.fileSync[0]?.host).toBe("/.a");
  for (const env of [{}, { HOME: "" }, { HOME: "here" }]) {
    expect(refusalOf(() => load(text, env)).message).toContain('"~/.a", but HOME is no absolute path');
  }
  expect(load(`[[file_sync]]\n${GOOD}`).values.fileSync).toEqual([
    { host: "/a", guest: "/root/a", mode: 0o600 },
  ]);
});
