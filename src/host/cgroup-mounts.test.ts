import { expect, test } from "bun:test";
import { groupDirectory, parseCgroupMemberships, parseCgroupMounts } from "./cgroup-mounts.ts";

const HYBRID = `
23 28 0:21 / /proc rw,nosuid shared:12 - proc proc rw
31 23 0:28 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:13 - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 /docker/0a1b /sys/fs/cgroup/memory ro,relatime master:14 - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /mnt/with\\040space rw,relatime shared:1 master:2 - cgroup2 cgroup2 rw,nsdelegate
half a line
42 31
`;

test("parseCgroupMounts() finds the cgroup mounts among all others, whatever tags stand between", () => {
  expect(parseCgroupMounts(HYBRID)).toEqual([
    {
      version: 1,
      mountPoint: "/sys/fs/cgroup/cpu,cpuacct",
      root: "/",
      controllers: ["cpu", "cpuacct"],
      readOnly: false,
    },
    {
      version: 1,
      mountPoint: "/sys/fs/cgroup/memory",
      root: "/docker/0a1b",
      controllers: ["memory"],
      readOnly: true,
    },
    { version: 1, mountPoint: "/sys/fs/cgroup/systemd", root: "/", controllers: ["xattr"], readOnly: false },
    { version: 2, mountPoint: "/mnt/with space", root: "/", controllers: [], readOnly: false },
  ]);
});

test("parseCgroupMemberships() reads both versions, and paths with colons", () => {
  expect(parseCgroupMemberships("9:name=systemd:/\n4:cpu,cpuacct:/a:b/c\n0::/user.slice\n\nnoise\n")).toEqual(
    [
      { version: 1, controllers: ["name=systemd"], path: "/" },
      { version: 1, controllers: ["cpu", "cpuacct"], path: "/a:b/c" },
      { version: 2, controllers: [], path: "/user.slice" },
    ],
  );
});

test("garbage of any kind parses to nothing, and never throws", () => {
  for (const text of [
    "",
    "\n\n",
    " - ",
    "a b c d e f - cgroup",
    "::",
    "0:",
    "\0\0 - cgroup2",
    "1 - - - cgroup",
  ]) {
    expect(() => [parseCgroupMounts(text), parseCgroupMemberships(text)]).not.toThrow();
  }
});

test.each([
  ["/", "/", "/m"],
  ["/", "/a/b", "/m/a/b"],
  ["/docker/x", "/docker/x", "/m"],
  ["/docker/x", "/docker/x/y", "/m/y"],
  ["/docker/x", "/docker/xy", undefined],
  ["/docker/x", "/other", undefined],
  ["/", "/..", undefined],
  ["/", "/../sibling", undefined],
])("through a mount of %s the group %s is %p", (root, path, expected) => {
  const mount = { version: 2, mountPoint: "/m", root, controllers: [], readOnly: false } as const;
  expect(groupDirectory(mount, path)).toBe(expected);
});
