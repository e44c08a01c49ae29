/** The generated pages are current, and what they are generated from is whole. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { listCommands, type NamedCommand, renderAll } from "../../scripts/docs.ts";
import { PATHS } from "../../src/api/paths.ts";
import { codeBlocks, codeWords, ROOT, readPages } from "./markdown.ts";

test.each(Object.keys(renderAll()))("%s is what `npm run docs` writes", (path) => {
  expect(readFileSync(join(ROOT, path), "utf8")).toBe(renderAll()[path] ?? "");
});

describe("the command line", () => {
  test("describes every command", () => {
    const silent = listCommands().filter(({ command }) => command.description().trim() === "");
    expect(silent.map(({ name }) => name)).toEqual([]);
    expect(listCommands().length).toBeGreaterThan(15);
  });

  test("describes every option of every command", () => {
    const silent = listCommands().flatMap(({ name, command }) =>
      command.options.filter((one) => one.description.trim() === "").map((one) => `${name} ${one.flags}`),
    );
    expect(silent).toEqual([]);
  });

  test("has every command that the documentation calls", () => {
    const known = new Set(["banger vm", ...listCommands().flatMap(spellings)]);
    const called = readPages().flatMap((page) =>
      [...codeWords(page), ...codeBlocks(page)].flatMap((code) =>
        [
          ...code.matchAll(
            /(?:^\s*|\$ |\$\(|\| |\/)banger ((?:(?:image|daemon|template|snapshot) )?[a-z]+)\b/gm,
          ),
        ].map((match) => ({
          path: page.path,
          name: `banger ${match[1] ?? ""}`,
        })),
      ),
    );
    expect(called.length).toBeGreaterThan(50);
    expect(called.filter(({ name }) => !known.has(name))).toEqual([]);
  });
});

describe("the OpenAPI document", () => {
  const document = JSON.parse(renderAll()["docs/openapi.json"] ?? "") as OpenApi;
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );

  test("has every operation once, under its method and path", () => {
    const found = operations.map(({ path, method, operation }) => [
      operation.operationId,
      method.toUpperCase(),
      path,
    ]);
    const wanted = Object.entries(PATHS).map(([id, { method, path }]) => [id, method, path]);
    expect(new Set(found.map(String))).toEqual(new Set(wanted.map(String)));
    expect(found.length).toBe(wanted.length);
  });

  test("resolves every $ref", () => {
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1] ?? "");
    expect(refs.length).toBeGreaterThan(20);
    const dangling = refs.filter((ref) => {
      const name = /^#\/components\/schemas\/(\w+)$/.exec(ref)?.[1];
      return name === undefined || document.components.schemas[name] === undefined;
    });
    expect(dangling).toEqual([]);
  });

  test("uses every schema that it has, but for those of the sockets", () => {
    const text = JSON.stringify(document);
    const unused = Object.keys(document.components.schemas).filter(
      (name) => !text.includes(`"#/components/schemas/${name}"`),
    );
    expect(unused.toSorted()).toEqual(["ExecClientMessage", "GuestStreamClientMessage", "VmEvent"]);
  });

  test("declares every parameter of a path, a summary, a success and an error for every operation", () => {
    const wrong = operations.filter(({ path, operation }) => {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      const declared = operation.parameters.filter((one) => one.in === "path").map((one) => one.name);
      const codes = Object.keys(operation.responses);
      return (
        inPath.join() !== declared.join() ||
        operation.summary === "" ||
        !codes.some((code) => code === "200" || code === "101") ||
        !codes.includes("default")
      );
    });
    expect(wrong).toEqual([]);
  });
});

interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly parameters: readonly { readonly name: string; readonly in: string }[];
  readonly responses: Readonly<Record<string, unknown>>;
}

/** A command's name with each of its aliases. */
function spellings({ name, command }: NamedCommand): string[] {
  const parent = name.slice(0, name.lastIndexOf(" "));
  return [name, ...command.aliases().map((alias) => `${parent} ${alias}`)];
}
