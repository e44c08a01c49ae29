import { expect, test } from "bun:test";
import { BangerError } from "../../model/errors.ts";
import { parseBangerToml } from "./banger-toml.ts";
import { parseDevcontainer } from "./devcontainer.ts";

const parse = (text: string): ReturnType<typeof parseBangerToml> => parseBangerToml(Buffer.from(text));

function faultOf(text: string): string {
  try {
    parse(text);
  } catch (error) {
    return BangerError.from(error).message;
  }
  throw new Error(`it was taken: ${text}`);
}

test("parseBangerToml() reads every key", () => {
  const { settings, reserved, steps } = parse(`
image = "debian"
vcpus = 2
memory = "2G"
disk = 8192
setup = "make deps"
ports = ["8080:80", "0:53/udp"]
allow = ["github.com:443", "*.debian.org"]
[env]
CI = "1"
`);
  expect(settings).toMatchObject({
    image: "debian",
    vcpus: 2,
    memoryMib: 2048,
    diskMib: 8192,
    ports: [
      { address: "127.0.0.1", hostPort: 8080, guestPort: 80, protocol: "tcp" },
      { address: "127.0.0.1", hostPort: 0, guestPort: 53, protocol: "udp" },
    ],
    network: { allow: ["github.com:443", "*.debian.org"] },
    env: { CI: "1" },
  });
  expect(reserved).toEqual([]);
  expect(steps).toEqual([{ source: "setup", command: "make deps" }]);
});

test("parseBangerToml() leaves what opens the host to the user, and out of the settings", () => {
  for (const [text, flags] of [
    [`network = "full"`, ["--network full"]],
    [`allow = ["github.com", "10.0.0.0/8"]`, ["--allow 10.0.0.0/8"]],
    [`ports = ["8080:80", "0.0.0.0:8081:81"]`, ["-p 0.0.0.0:8081:81"]],
    [`image = "127.0.0.1:5000/x"`, ["--image 127.0.0.1:5000/x"]],
    [`image = "localhost/x/y"`, ["--image localhost/x/y"]],
    [`image = "registry:5000/x"`, ["--image registry:5000/x"]],
    [`image = "2130706433:80/x"`, ["--image 2130706433:80/x"]],
    [`image = "[::1]:80/x"`, ["--image [::1]:80/x"]],
    [`ports = ["[::1]:8081:81/udp", "80:80"]`, ["-p [::1]:8081:81/udp", "-p 127.0.0.1:80:80"]],
  ] as const) {
    const { settings, reserved } = parse(text);
    expect(reserved.map(({ flag }) => flag)).toEqual([...flags]);
    expect([settings.image, settings.network, settings.ports]).toEqual([undefined, undefined, undefined]);
  }
});

test("parseBangerToml() takes images of registries that have a name on the internet", () => {
  for (const image of [
    "debian",
    "debian:bookworm",
    "some/thing",
    "ghcr.io/some/thing:1",
    "reg.example.com:5000/x",
  ])
    expect(parse(`image = "${image}"`)).toMatchObject({ settings: { image }, reserved: [] });
});

test("parseBangerToml() names key, line and the nearest known key", () => {
  for (const [text, words] of [
    [`vcpus = 1\nmemroy = "2G"`, "line 2, memroy: there is no such key; did you mean memory?"],
    [`volumes = ["/:/host"]`, "line 1, volumes: there is no such key; there are image, vcpus"],
    [`vcpus = 100000`, "line 1, vcpus: "],
    [`vcpus = "2"`, "line 1, vcpus: "],
    [`memory = "1k"`, "line 1, memory: "],
    [`image = "../../x"`, "line 1, image: "],
    [`network = "bridge"`, "line 1, network: "],
    [`network = "allow"`, "the mode allow needs a list allow"],
    [`network = "none"\nallow = ["a.example"]`, "line 2, allow: it says nothing in the mode none"],
    [`ports = ["80"]`, "line 1, ports.0: "],
    [`ports = ["8080:80", "8080:81"]`, "is to lead to two places"],
    [`setup = ["", "x"]`, "line 1, setup.0: it is empty"],
    [`setup = 1`, "line 1, setup: "],
    [`setup = "a\\u0000b"`, "holds a NUL"],
    [`[env]\n"A B" = "x"`, "env"],
    [`a = [`, "line 1 is not TOML"],
    ["x = 1\n".repeat(300), "not TOML"],
    ["\n".repeat(300) + `"\\u001b[2J" = 1`, '"\\u001b[2J": there is no such key'],
  ] as const) {
    expect(faultOf(text)).toContain(words);
  }
  expect(() => parseBangerToml(Buffer.from([0xff]))).toThrow("not UTF-8");
});

test("parseDevcontainer() takes a string or a list, and names what it ignores", () => {
  const read = (text: string): ReturnType<typeof parseDevcontainer> =>
    parseDevcontainer(Buffer.from(text), ".devcontainer.json");
  expect(read(`{"name":"x","postCreateCommand":"make && true"}`)).toEqual({
    steps: [{ source: "devcontainer", command: "make && true" }],
    notes: [],
  });
  expect(read(`/* c */ {"postCreateCommand":{"a":"b"},"image":"x","\\u001b":1}`)).toEqual({
    steps: [],
    notes: [
      ".devcontainer.json: postCreateCommand is neither a string nor a list of strings, and is ignored",
      '.devcontainer.json: ignored are image, "\\u001b"',
    ],
  });
  expect(() => read("[1]")).toThrow("no object of JSON");
  expect(() => read("{")).toThrow("no object of JSON");
});
