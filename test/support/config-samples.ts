/** Of each configuration key what it takes, how that is shown, and what it refuses. */
import type { Config } from "../../src/model/config.ts";

export interface Sample {
  /** As text, what it means, and how it is shown. */
  readonly good: readonly (readonly [text: string, value: unknown, shown: string | number])[];
  /** As TOML values beside strings. */
  readonly toml: readonly (readonly [given: unknown, value: unknown])[];
  readonly bad: readonly string[];
  readonly badToml: readonly unknown[];
}

const NOT_TEXT = [1, 1.5, true, null, [], {}, new Date(0)];
const NOT_QUANTITY = [0, -1, Number.NaN, Infinity, true, null, [], {}, new Date(0), 1e21];

function numberSample({ min, max }: { readonly min: number; readonly max: number }): Sample {
  return {
    good: [
      [String(min), min, min],
      [` ${max} `, max, max],
    ],
    toml: [[min + 1, min + 1]],
    bad: ["0", "-1", "1.5", "many", String(min - 1), String(max + 1)],
    badToml: [String(min), 0, 1.5, Number.NaN, Infinity, true, null, [], {}],
  };
}

export const SAMPLES: { readonly [P in keyof Config]: Sample } = {
  logLevel: {
    good: [
      ["debug", "debug", "debug"],
      ["silent", "silent", "silent"],
    ],
    toml: [["info", "info"]],
    bad: ["loud", "DEBUG", " info"],
    badToml: NOT_TEXT,
  },
  defaultImage: {
    good: [
      ["debian", "debian", "debian"],
      ["my.app:v2", "my.app:v2", "my.app:v2"],
    ],
    toml: [["debian", "debian"]],
    bad: ["../x", "UPPER CASE", "a\0b"],
    badToml: NOT_TEXT,
  },
  detachKeys: {
    good: [
      ["ctrl-x,d", "ctrl-x,d", "ctrl-x,d"],
      ["none", "none", "none"],
    ],
    toml: [["ctrl-a", "ctrl-a"]],
    bad: ["ctrl-", "ab", "a,,b"],
    badToml: NOT_TEXT,
  },
  vcpus: {
    good: [
      ["1", 1, 1],
      ["64", 64, 64],
      [" 2 ", 2, 2],
    ],
    toml: [[4, 4]],
    bad: ["0", "-1", "65", "1.5", "two", "1e1", "9".repeat(30)],
    badToml: ["4", 0, 65, 1.5, Number.NaN, Infinity, true, null, [], {}],
  },
  networkWay: {
    good: [
      ["auto", "auto", "auto"],
      ["channel", "channel", "channel"],
    ],
    toml: [["namespace", "namespace"]],
    bad: ["none", "Channel"],
    badToml: NOT_TEXT,
  },
  tapPoolSize: {
    good: [
      ["0", 0, 0],
      ["256", 256, 256],
    ],
    toml: [[4, 4]],
    bad: ["-1", "257", "1.5", "two"],
    badToml: ["4", -1, 257, 1.5, true, null, [], {}],
  },
  dnsPort: {
    good: [
      ["0", 0, 0],
      ["65535", 65_535, 65_535],
    ],
    toml: [[53, 53]],
    bad: ["-1", "65536", "1.5", "dns"],
    badToml: ["53", -1, 65_536, 1.5, true, null, [], {}],
  },
  memoryMib: {
    good: [
      ["4G", 4096, "4G"],
      ["4GiB", 4096, "4G"],
      ["512", 512, "512M"],
      ["1.5G", 1536, "1536M"],
      ["1T", 2 ** 20, "1T"],
    ],
    toml: [
      [512, 512],
      ["128M", 128],
    ],
    bad: ["127M", "0", "-1G", "4X", "2T", "G", "lots"],
    badToml: [...NOT_QUANTITY, "", 127],
  },
  diskMib: {
    good: [
      ["8G", 8192, "8G"],
      ["16T", 16 * 2 ** 20, "16T"],
      ["64M", 64, "64M"],
    ],
    toml: [[64, 64]],
    bad: ["63M", "17T", "-8G", "big"],
    badToml: NOT_QUANTITY,
  },
  addressPool: {
    good: [
      ["10.0.0.0/8", "10.0.0.0/8", "10.0.0.0/8"],
      ["192.168.7.0/30", "192.168.7.0/30", "192.168.7.0/30"],
    ],
    toml: [["172.20.0.0/16", "172.20.0.0/16"]],
    bad: ["10.0.0.0", "10.0.0.0/31", "10.0.0.0/7", "300.0.0.0/24", "::/64", "x"],
    badToml: NOT_TEXT,
  },
  pool6: {
    good: [
      ["off", undefined, "off"],
      ["fd5b:a9e1:30c7::/64", "fd5b:a9e1:30c7::/64", "fd5b:a9e1:30c7::/64"],
      ["FD5B:0:0:1::/96", "fd5b:0:0:1::/96", "fd5b:0:0:1::/96"],
    ],
    toml: [["fd5b::/16", "fd5b::/16"]],
    bad: [
      "on",
      "fd5b::",
      "fd5b::1/64",
      "fd5b::/97",
      "fd00::/8",
      "2001:db8::/64",
      "fe80::/64",
      "fd00:ec2::/64",
      "fd62:616e::/32",
      "10.0.0.0/8",
    ],
    badToml: NOT_TEXT,
  },
  bootTimeoutMs: {
    good: [
      ["30s", 30_000, "30s"],
      ["5m", 300_000, "5m"],
      ["1h", 3_600_000, "1h"],
      ["1500ms", 1500, "1500ms"],
      ["90", 90_000, "90s"],
    ],
    toml: [
      [90, 90_000],
      [1.5, 1500],
    ],
    bad: ["999ms", "2h", "0", "-1s", "soon", "30 sec"],
    badToml: NOT_QUANTITY,
  },
  stopTimeoutMs: {
    good: [
      ["auto", undefined, "auto"],
      ["10s", 10_000, "10s"],
      ["60m", 3_600_000, "1h"],
    ],
    toml: [
      ["auto", undefined],
      [1, 1000],
    ],
    bad: ["0", "61m", "-5s", "later", "never"],
    badToml: NOT_QUANTITY,
  },
  autoStopAfterMs: {
    good: [
      ["never", undefined, "never"],
      ["2h", 7_200_000, "2h"],
      ["365d", 365 * 86_400_000, "365d"],
      [" never ", undefined, "never"],
    ],
    toml: [
      ["never", undefined],
      [3600, 3_600_000],
    ],
    bad: ["0", "999ms", "366d", "Never", "off"],
    badToml: [...NOT_QUANTITY, false],
  },
  diskRate: {
    good: [
      ["none", undefined, "none"],
      ["200M", 200 * 2 ** 20, "200M"],
      ["2G", 2 ** 31, "2G"],
      ["1.5M", 1.5 * 2 ** 20, "1536K"],
      ["4", 2 ** 22, "4M"],
      ["1T", 2 ** 40, "1T"],
    ],
    toml: [
      ["none", undefined],
      [4, 2 ** 22],
    ],
    bad: ["1023K", "0", "-1M", "2T", "fast", "never", "10M/s"],
    badToml: [...NOT_QUANTITY, ""],
  },
  diskIops: {
    good: [
      ["none", undefined, "none"],
      ["1000", 1000, 1000],
    ],
    toml: [[50, 50]],
    bad: ["49", "10000001", "1k", "never"],
    badToml: ["1000", 0, 49, 50.5, Number.NaN, true, null, []],
  },
  networkRate: {
    good: [
      ["none", undefined, "none"],
      ["200M", 200 * 2 ** 20, "200M"],
      ["2G", 2 ** 31, "2G"],
      ["1.5M", 1.5 * 2 ** 20, "1536K"],
      ["4", 2 ** 22, "4M"],
      ["1T", 2 ** 40, "1T"],
    ],
    toml: [
      ["none", undefined],
      [4, 2 ** 22],
    ],
    bad: ["1023K", "0", "-1M", "2T", "fast", "never", "10M/s"],
    badToml: [...NOT_QUANTITY, ""],
  },
  qemuBin: {
    good: [
      ["qemu", "qemu", "qemu"],
      ["/opt/my qemu/bin/qemu", "/opt/my qemu/bin/qemu", "/opt/my qemu/bin/qemu"],
    ],
    toml: [["/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-system-x86_64"]],
    bad: ["bin/qemu", "./qemu", "a\0b", "a\nb", " qemu", `/${"x".repeat(5000)}`],
    badToml: [...NOT_TEXT, ""],
  },
  qemuAccelerator: {
    good: [
      ["auto", "auto", "auto"],
      ["kvm", "kvm", "kvm"],
      ["tcg", "tcg", "tcg"],
    ],
    toml: [["tcg", "tcg"]],
    bad: ["KVM", "hvf", "yes"],
    badToml: NOT_TEXT,
  },
  firecrackerBin: {
    good: [["firecracker-1.13", "firecracker-1.13", "firecracker-1.13"]],
    toml: [["/usr/local/bin/firecracker", "/usr/local/bin/firecracker"]],
    bad: ["bin/firecracker", "a\nb"],
    badToml: [...NOT_TEXT, ""],
  },
  firecrackerJailer: {
    good: [
      ["auto", "auto", "auto"],
      ["on", "on", "on"],
      ["off", "off", "off"],
    ],
    toml: [["off", "off"]],
    bad: ["yes", "ON"],
    badToml: NOT_TEXT,
  },
  firecrackerJailerBin: {
    good: [["jailer", "jailer", "jailer"]],
    toml: [["/usr/local/bin/jailer", "/usr/local/bin/jailer"]],
    bad: ["./jailer"],
    badToml: [...NOT_TEXT, ""],
  },
  firecrackerChrootBase: {
    good: [
      ["default", "default", "default"],
      ["/srv/jailer", "/srv/jailer", "/srv/jailer"],
    ],
    toml: [["/srv/jailer", "/srv/jailer"]],
    bad: ["srv/jailer", "./x", "/a\nb", `/${"x".repeat(5000)}`],
    badToml: [...NOT_TEXT, ""],
  },
  firecrackerTransport: {
    good: [
      ["mmio", "mmio", "mmio"],
      ["pci", "pci", "pci"],
    ],
    toml: [["pci", "pci"]],
    bad: ["PCI", "usb"],
    badToml: NOT_TEXT,
  },
  imageMaxEntries: numberSample({ min: 1000, max: 5_000_000 }),
  imageMaxSizeMib: {
    good: [
      ["64G", 65_536, "64G"],
      ["1M", 1, "1M"],
    ],
    toml: [[512, 512]],
    bad: ["0", "-1G", "17T", "big"],
    badToml: [...NOT_QUANTITY, ""],
  },
  imageMaxRatio: numberSample({ min: 10, max: 1_000_000 }),
  imageMaxPathBytes: numberSample({ min: 256, max: 65_536 }),
  imageMaxXattrBytes: numberSample({ min: 1024, max: 1_048_576 }),
  templatesMaxCount: {
    good: [
      ["0", 0, 0],
      ["1000", 1000, 1000],
    ],
    toml: [[4, 4]],
    bad: ["-1", "1001", "1.5", "many"],
    badToml: ["4", -1, 1001, 1.5, Number.NaN, Infinity, true, null, [], {}],
  },
  templatesMaxMib: {
    good: [
      ["8G", 8192, "8G"],
      ["1M", 1, "1M"],
    ],
    toml: [[64, 64]],
    bad: ["0", "17T", "-8G", "big"],
    badToml: NOT_QUANTITY,
  },
  fileSync: {
    good: [
      ["[]", [], "[]"],
      [
        ' [ {"host": "~/.a b", "guest": "/root/x/.a", "mode": "644"} ] ',
        [{ host: "~/.a b", guest: "/root/x/.a", mode: 0o644 }],
        '[{"host":"~/.a b","guest":"/root/x/.a","mode":"0644"}]',
      ],
    ],
    toml: [
      [[], []],
      [[{ host: "/a", guest: "/root/a" }], [{ host: "/a", guest: "/root/a", mode: 0o600 }]],
    ],
    bad: ["{}", "[", "~/.a:/root/.a", '[{"host":"/a","guest":"/root/../a"}]'],
    badToml: [1, true, null, {}, new Date(0), [1], [[]], [null], [{}], [{ host: "/a" }]],
  },
  warmPool: {
    good: [
      ["{}", {}, "{}"],
      [
        ' {"debian": 2, "ghcr.io/a/b:1": 64} ',
        { debian: 2, "ghcr.io/a/b:1": 64 },
        '{"debian":2,"ghcr.io/a/b:1":64}',
      ],
    ],
    toml: [
      [{}, {}],
      [{ debian: 1 }, { debian: 1 }],
    ],
    bad: ["[]", "{", "debian=2", '{"debian":0}', '{"debian":65}', '{"Bad Name":1}', '{"debian":"2"}'],
    badToml: [
      1,
      true,
      null,
      [],
      new Date(0),
      { debian: 1.5 },
      { "../x": 1 },
      Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`i${at}`, 1])),
    ],
  },
  registries: {
    good: [
      ["{}", {}, "{}"],
      [
        '{"docker.io": {"mirrors": ["m:5000/x"]}}',
        { "docker.io": { mirrors: ["m:5000/x"], insecure: undefined, ca: undefined } },
        '{"docker.io":{"mirrors":["m:5000/x"]}}',
      ],
    ],
    toml: [
      [{}, {}],
      [
        { "Localhost:5000": { insecure: true, ca: "/a.pem" } },
        { "localhost:5000": { mirrors: [], insecure: true, ca: "/a.pem" } },
      ],
    ],
    bad: ["[]", "{", '{"a/b":{}}', '{"a":{"mirrors":["https://m"]}}', '{"a":{"mirrors":["m/"]}}', '{"a":1}'],
    badToml: [
      1,
      true,
      null,
      [],
      new Date(0),
      { a: { insecure: "yes" } },
      { a: { ca: "relative" } },
      { a: { other: 1 } },
      { a: { mirrors: Array.from({ length: 9 }, () => "m") } },
    ],
  },
  catalog: {
    good: [
      ["{}", {}, "{}"],
      [
        '{"web": {"packages": ["nginx"]}}',
        { web: { packages: ["nginx"] } },
        '{"web":{"packages":["nginx"]}}',
      ],
    ],
    toml: [
      [{}, {}],
      [{ db: { reference: "some/db" } }, { db: { reference: "some/db" } }],
    ],
    bad: ["[]", "{", '{"a/b":{}}', '{"a":{"packages":["-x"]}}', '{"a":1}'],
    badToml: [1, true, null, [], new Date(0), { a: { suite: 12 } }, { a: { other: 1 } }],
  },
};
