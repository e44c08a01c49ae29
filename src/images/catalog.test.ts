import { expect, test } from "bun:test";
import { catalogKind } from "../model/catalog-settings.ts";
import { Catalog } from "./catalog.ts";
import { failureOf } from "./testing.ts";

test("the catalog has a small system, one for development with an init, and a tiny one", () => {
  const catalog = new Catalog();
  expect(catalog.names()).toEqual(["debian", "debian-dev", "tiny"]);
  const { recipe } = catalog.get("debian-dev");
  if (recipe.kind !== "debian") throw new Error("no recipe of packages");
  expect(recipe.packages).toContain("systemd-sysv");
  expect(recipe.packages).toContain("openssh-server");
  expect(recipe.packages).toContain("git");
  expect(recipe.config.cmd).toEqual(["/sbin/init"]);
});

test("the configuration adds images to the catalog, and goes before what is built in", () => {
  const catalog = new Catalog({
    web: { packages: ["nginx"], suite: "trixie", command: ["/sbin/init"] },
    tiny: { reference: "ghcr.io/some/tiny:1" },
  });
  expect(catalog.names()).toEqual(["debian", "debian-dev", "tiny", "web"]);
  expect(catalog.get("web")).toMatchObject({
    description: "Debian trixie with nginx",
    recipe: { kind: "debian", suite: "trixie", packages: ["nginx"], config: { cmd: ["/sbin/init"] } },
  });
  expect(catalog.get("tiny").recipe).toEqual({ kind: "reference", reference: "ghcr.io/some/tiny:1" });
});

test("Catalog.get() names what there is when the image is unknown", async () => {
  const error = await failureOf(Promise.resolve().then(() => new Catalog().get("alpine")));
  expect(error.code).toBe("not_found");
  expect(error.message).toContain("debian-dev");
  expect(error.cure).toContain("banger image import alpine");
});

test("catalogKind says which part of an entry is wrong", () => {
  const faults = [
    [{ Web: {} }, ["Web"]],
    [{ web: { packages: ["-rf"] } }, ["web", "packages"]],
    [{ web: { suite: "../x" } }, ["web", "suite"]],
    [{ web: { command: [] } }, ["web", "command"]],
    [{ web: { reference: "NO" } }, ["web", "reference"]],
    [{ web: { reference: "a/b", packages: [] } }, ["web", "packages"]],
    [{ web: { size: 1 } }, ["web", "size"]],
  ] as const;
  for (const [value, at] of faults) {
    expect(catalogKind.fault?.(value)?.at).toEqual([...at]);
    expect(catalogKind.fromToml(value)).toBeUndefined();
  }
  const good = { web: { packages: ["nginx"], description: "a server" } };
  expect(catalogKind.fromToml(good)).toEqual({ value: good });
  expect(catalogKind.parse(JSON.stringify(good))).toEqual({ value: good });
});
