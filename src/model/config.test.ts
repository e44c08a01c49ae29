/** The table of configuration keys: what each takes, refuses and shows, and the page made from it. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { SAMPLES } from "../../test/support/config-samples.ts";
import { renderConfigDoc } from "./config-doc.ts";
import { CONFIG_PROPERTIES, keyOf, readVariable, showValue, variableOf } from "./config-lookup.ts";
import { BangerError } from "./errors.ts";
import { SPEC_LIMITS } from "./spec.ts";

test.each(CONFIG_PROPERTIES)(
  "%s reads its variable, and shows what it read so that it reads the same again",
  (property) => {
    const { path, kind } = keyOf(property);
    for (const [text, value, shown] of SAMPLES[property].good) {
      const read = readVariable(property, { [variableOf(path)]: text });
      expect(read).toEqual({ value } as never);
      if (read === undefined) continue;
      expect(kind.show(read.value as never)).toBe(shown);
      expect(kind.fromToml(shown)).toEqual(read);
    }
    for (const [given, value] of SAMPLES[property].toml)
      expect(kind.fromToml(given)).toEqual({ value } as never);
    for (const env of [{}, { [variableOf(path)]: "" }, { [variableOf(path)]: undefined }]) {
      expect(readVariable(property, env)).toBeUndefined();
    }
  },
);

test.each(CONFIG_PROPERTIES)(
  "%s refuses what is not allowed, with variable, key, value, what is allowed and the cure",
  (property) => {
    const { path, kind } = keyOf(property);
    const name = variableOf(path);
    for (const text of SAMPLES[property].bad) {
      const error = thrownBy(() => readVariable(property, { [name]: text }));
      expect(error.code).toBe("invalid_argument");
      for (const part of [name, path, kind.allowed, JSON.stringify(text.slice(0, 70)).slice(0, -1)]) {
        expect(error.message).toContain(part);
      }
      expect(error.cure).toContain(`unset ${name}`);
      expect(kind.fromToml(text)).toBeUndefined();
    }
    for (const value of SAMPLES[property].badToml) expect(kind.fromToml(value)).toBeUndefined();
  },
);

test.each(CONFIG_PROPERTIES)("the default of %s is allowed on every host", (property) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1024 }),
      fc.integer({ min: 64, max: 2 ** 24 }),
      (cores, memoryMib) => {
        const { byDefault, kind } = keyOf(property);
        const value = byDefault({ cores, memoryMib });
        expect(kind.fromToml((kind.show as (value: unknown) => unknown)(value))).toEqual({ value } as never);
      },
    ),
  );
});

test("every size and duration that is read is shown so that it reads the same again", () => {
  fc.assert(
    fc.property(
      fc.integer(SPEC_LIMITS.diskMib),
      fc.integer({ min: 1000, max: 365 * 86_400_000 }),
      (mib, ms) => {
        expect(keyOf("diskMib").kind.fromToml(showValue("diskMib", { diskMib: mib }))).toEqual({
          value: mib,
        });
        expect(
          keyOf("autoStopAfterMs").kind.parse(String(showValue("autoStopAfterMs", { autoStopAfterMs: ms }))),
        ).toEqual({
          value: ms,
        });
      },
    ),
  );
});

test("no text makes a kind throw", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary" }),
      fc.anything(),
      fc.constantFrom(...CONFIG_PROPERTIES),
      (text, value, property) => {
        const { kind } = keyOf(property);
        kind.parse(text);
        kind.fromToml(text);
        kind.fromToml(value);
      },
    ),
  );
});

test("paths and variables are each used once, and every key says in a line what it does", () => {
  const keys = CONFIG_PROPERTIES.map((property) => keyOf(property));
  for (const names of [keys.map((key) => key.path), keys.map((key) => variableOf(key.path))]) {
    expect(new Set(names).size).toBe(keys.length);
  }
  for (const { path, description } of keys) {
    expect(path).toMatch(/^[a-z_]+(\.[a-z_]+)*6?$/);
    expect(description).toMatch(/^[A-Z][^\n|]{10,}[^.]$/);
  }
});

test("docs/config.md is what renderConfigDoc() writes", () => {
  const page = readFileSync(join(import.meta.dir, "../../docs/config.md"), "utf8");
  expect(page).toBe(renderConfigDoc());
});

function thrownBy(work: () => unknown): BangerError {
  try {
    work();
  } catch (error) {
    if (error instanceof BangerError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
