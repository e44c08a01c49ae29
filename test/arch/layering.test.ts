/** Imports go one way (DESIGN section 3): each room may import only the rooms that its row names. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { Glob } from "bun";

const SRC = join(import.meta.dir, "../../src");

const LOW = ["model", "lib"];
const ADAPTERS = ["guest", "vmm", "store", "host"];
const SERVICES = ["vms", "images", "storage", "network", "snapshots", "workspaces"];

/** Room → the rooms that it may import beside itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  model: [],
  // A helper may throw our one error; it knows no other noun of ours.
  lib: ["model"],
  api: ["model"],
  sdk: ["api", "model", "lib"],
  cli: ["sdk", "api", "model", "lib"],
  ...Object.fromEntries(ADAPTERS.map((room) => [room, LOW])),
  ...Object.fromEntries(SERVICES.map((room) => [room, [...ADAPTERS, ...LOW]])),
  daemon: [...SERVICES, ...ADAPTERS, ...LOW, "api"],
  // main.ts and agent-binary.ts: the program itself.
  "": ["cli", "daemon", "model"],
};

interface Import {
  /** Paths relative to src/. */
  readonly from: string;
  readonly to: string;
}

function importsOf(path: string, source: string): Import[] {
  return [...source.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)].map((match) => ({
    from: path,
    to: normalize(join(dirname(path), match[1] ?? "")),
  }));
}

function room(path: string): string {
  return path.includes("/") ? (path.split("/")[0] ?? "") : "";
}

/** What is wrong with an import; undefined when nothing is. */
function objection({ from, to }: Import): string | undefined {
  if (to.startsWith(".."))
    return from === "main.ts" || from === "agent-binary.ts" ? undefined : "leaves src/";
  const driver = /^vmm\/(qemu|firecracker|fake)\//.exec(to)?.[1];
  if (driver !== undefined && from !== "daemon/compose.ts" && !from.startsWith(`vmm/${driver}/`)) {
    return "names a concrete driver outside daemon/compose.ts";
  }
  if (room(from) === room(to)) return undefined;
  return MAY_IMPORT[room(from)]?.includes(room(to)) === true
    ? undefined
    : `${room(from)} may not import ${room(to)}`;
}

function moduleFiles(): string[] {
  return [...new Glob("**/*.ts").scanSync(SRC)].filter((path) => !path.endsWith(".test.ts"));
}

test("every import of every module goes one way", () => {
  const files = moduleFiles();
  const imports = files.flatMap((path) => importsOf(path, readFileSync(join(SRC, path), "utf8")));
  const wrong = imports.flatMap((one) =>
    objection(one) === undefined ? [] : [`${one.from} -> ${one.to}: ${objection(one)}`],
  );
  expect(wrong).toEqual([]);
  // The scan is not blind: it saw the rooms, and imports between them.
  expect(files.length).toBeGreaterThan(80);
  expect(imports.length).toBeGreaterThan(files.length);
  expect(new Set(files.map(room)).size).toBeGreaterThan(10);
});

test.each([
  ["vms/start.ts", `import { x } from "../images/images.ts";`, "vms may not import images"],
  ["model/vm.ts", `import type { x } from "../lib/file-tail.ts";`, "model may not import lib"],
  ["sdk/client.ts", `const x = await import("../daemon/main.ts");`, "sdk may not import daemon"],
  ["vms/start.ts", `import "../vmm/qemu/driver.ts";`, "names a concrete driver outside daemon/compose.ts"],
  ["api/paths.ts", `export { x } from "../../package.json";`, "leaves src/"],
])("a planted import in %s is found: %s", (path, source, expected) => {
  expect(importsOf(path, source).map(objection)).toEqual([expected]);
});

test("every module opens with a comment that says what lives there", () => {
  const silent = moduleFiles().filter((path) => !readFileSync(join(SRC, path), "utf8").startsWith("/**"));
  expect(silent).toEqual([]);
});
