/** Commit with a real guest: what it wrote, replaced and removed is in the image that is made of it, running or stopped. */
import { expect, test } from "bun:test";
import { createRealHome } from "../support/real-home.ts";

const CHANGE = `set -e
echo new >/etc/added
echo other >/etc/issue
rm -r /usr/share/zoneinfo /etc/motd
mkdir /opt/dir && ln -s ../x /opt/dir/link && mkfifo /opt/dir/pipe
dd if=/dev/urandom of=/opt/big bs=1M count=5 status=none
chown 70000:70001 /opt/big && chmod 4711 /opt/big
ln /opt/big /opt/twin
mv /usr/share/perl5 /opt/perl && rm -r /opt/perl/Debconf && echo x >/opt/perl/mine
rm -r /usr/share/doc && mkdir /usr/share/doc && touch /usr/share/doc/only
sha256sum </opt/big
cd /opt/perl && find . -type f | sort | xargs sha256sum | sha256sum`;

const LOOK = `cat /etc/added /etc/issue
ls -d /usr/share/zoneinfo /etc/motd 2>/dev/null
readlink /opt/dir/link; test -p /opt/dir/pipe && echo fifo
stat -c '%u:%g %a %h' /opt/big
ls /usr/share/doc; ls -d /usr/share/perl5 /opt/perl/Debconf 2>/dev/null
sha256sum </opt/big
cd /opt/perl && find . -type f | sort | xargs sha256sum | sha256sum`;

test("image commit of a running, a paused and a stopped VM gives images with what it wrote", async () => {
  await using home = await createRealHome();
  const changed = await home.banger(["run", "--name", "w", "--", "sh", "-c", CHANGE]);
  expect(changed).toMatchObject({ code: 0 });
  const seen = `new\nother\n../x\nfifo\n70000:70001 4711 2\nonly\n${changed.stdout}`;
  const running = await home.banger(["image", "commit", "-q", "w", "from-running"]);
  expect(running).toMatchObject({ code: 0, stderr: "" });
  // It lives on, and can write.
  expect(await home.banger(["exec", "w", "--", "touch", "/after"])).toMatchObject({ code: 0 });
  // What the guest has not written out yet goes along.
  const write = "echo late >/late; (while :; do date >/now; done) >/dev/null 2>&1 &";
  expect(await home.banger(["exec", "w", "--", "sh", "-c", write])).toMatchObject({ code: 0 });
  expect(await home.banger(["pause", "w"])).toMatchObject({ code: 0 });
  expect(await home.banger(["image", "commit", "-q", "w", "from-paused"])).toMatchObject({ code: 0 });
  expect((await home.banger(["ps", "--json"])).stdout).toContain('"paused"');
  const late = ["run", "--rm", "--image", "from-paused", "--", "cat", "/late"];
  expect(await home.banger(late)).toMatchObject({ code: 0, stdout: "late\n" });
  expect(await home.banger(["resume", "w"])).toMatchObject({ code: 0 });
  expect(await home.banger(["stop", "w"])).toMatchObject({ code: 0 });
  expect(await home.banger(["image", "commit", "-q", "w", "from-stopped"])).toMatchObject({ code: 0 });
  const look = ["sh", "-c", `${LOOK}\nls -d /after 2>/dev/null; hostname`];
  const one = await home.banger(["run", "--rm", "--name", "one", "--image", "from-running", "--", ...look]);
  expect(one).toMatchObject({ code: 0, stdout: `${seen}one\n` });
  const two = await home.banger(["run", "--rm", "--name", "two", "--image", "from-stopped", "--", ...look]);
  expect(two).toMatchObject({ code: 0, stdout: `${seen}/after\ntwo\n` });
  expect(await home.banger(["image", "verify", "-q"])).toMatchObject({ code: 0 });
});
