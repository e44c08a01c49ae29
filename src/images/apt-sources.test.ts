import { describe, expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseDeb822, parseOneLine, readAptSources, renderAptSources } from "./apt-sources.ts";
import { createTemporaryDirectory } from "./testing.ts";

const deb822 = `Types: deb deb-src
# a comment
URIs: http://mirror.test/debian
Suites: bookworm
  bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/k.gpg

Types: deb-src
URIs: http://mirror.test/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://off.test/debian
Suites: bookworm
Components: main
Enabled: no
`;

describe("parseDeb822()", () => {
  test("reads lists, continuations and comments, and leaves out sources and disabled stanzas", () => {
    const uri = "http://mirror.test/debian";
    const signedBy = "/usr/share/keyrings/k.gpg";
    expect(parseDeb822(deb822)).toEqual([
      { uri, suite: "bookworm", signedBy },
      { uri, suite: "bookworm-updates", signedBy },
    ]);
  });

  test("leaves out a stanza with an embedded key", () => {
    expect(
      parseDeb822(
        "Types: deb\nURIs: http://a.test\nSuites: x\nComponents: main\nSigned-By:\n -----BEGIN\n .",
      ),
    ).toEqual([]);
  });
});

test("parseOneLine() reads options and comments, and leaves out other components", () => {
  const text = `# deb http://no.test/debian bookworm main
deb http://a.test/debian bookworm main contrib # note
deb [arch=amd64 signed-by=/k.gpg] http://b.test/debian bookworm-updates main
deb http://c.test/debian bookworm non-free
deb-src http://d.test/debian bookworm main`;
  expect(parseOneLine(text)).toEqual([
    { uri: "http://a.test/debian", suite: "bookworm", signedBy: undefined },
    { uri: "http://b.test/debian", suite: "bookworm-updates", signedBy: "/k.gpg" },
  ]);
});

describe("readAptSources()", () => {
  test("keeps the suite with its updates and security, each once, and no secrets", async () => {
    await using dir = await createTemporaryDirectory();
    await mkdir(join(dir.path, "sources.list.d"));
    await writeFile(join(dir.path, "sources.list.d", "debian.sources"), deb822);
    await writeFile(
      join(dir.path, "sources.list.d", "off.sources.disabled"),
      deb822.replaceAll("mirror", "off"),
    );
    await writeFile(
      join(dir.path, "sources.list"),
      `deb http://mirror.test/debian bookworm main
deb http://user:secret@mirror.test/debian bookworm main
deb http://mirror.test/security bookworm-security main
deb http://mirror.test/debian trixie main
deb file:///srv/debian bookworm main`,
    );
    const found = await readAptSources(dir.path, "bookworm");
    expect(found.map((source) => `${source.uri} ${source.suite}`)).toEqual([
      "http://mirror.test/debian bookworm",
      "http://mirror.test/security bookworm-security",
      "http://mirror.test/debian bookworm-updates",
    ]);
    expect(parseDeb822(renderAptSources(found))).toEqual(found);
  });

  test("finds nothing where the suite itself is missing, and where there is no directory", async () => {
    await using dir = await createTemporaryDirectory();
    await writeFile(join(dir.path, "sources.list"), "deb http://mirror.test/debian bookworm-security main");
    expect(await readAptSources(dir.path, "bookworm")).toEqual([]);
    expect(await readAptSources(join(dir.path, "no"), "bookworm")).toEqual([]);
  });
});
