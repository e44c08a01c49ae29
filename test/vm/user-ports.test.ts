/** Ports of an ordinary user's guest, published and forwarded: there is no link into its namespace, and all go over the agent's channel. */
import { expect, test } from "bun:test";
import { createOwnHost, hostState } from "../network/own-host.ts";
import { createOrdinaryUser, NO_USER, ORDINARY_UID } from "../support/ordinary-user.ts";
import { createRealHome, prepareRealHomes } from "../support/real-home.ts";
import { fateOf, serveTcp, talk, udpClient } from "../support/sockets.ts";
import { keepersOf, killUserDaemon, userNetworkRemains } from "../support/user-network.ts";

/** Says back what it heard, when that has ended, and `!`; UDP at once. */
const SERVERS = `
use IO::Socket::INET; $SIG{CHLD} = "IGNORE";
my $tcp = IO::Socket::INET->new(LocalAddr => "0.0.0.0", LocalPort => 80, Listen => 64, ReuseAddr => 1) or die;
my $udp = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 53, Proto => "udp") or die;
open(my $ready, ">", "/run/ready"); close $ready;
unless (fork) { while (defined(my $from = $udp->recv(my $b, 65536))) { $udp->send("$b!") } }
while (my $c = $tcp->accept) { next if fork; my $all = ""; while (sysread($c, my $b, 65536)) { $all .= $b } syswrite($c, "$all!"); exit }`;

/** Nobody else is on the test's own host. */
const [TCP, UDP, FORWARDED, BACK] = [8080, 5353, 8081, 9000] as const;

test.skipIf(NO_USER !== undefined)(
  "an ordinary user's ports lead into the guest and out of it, outlive the daemon, and end with the VM",
  async () => {
    await prepareRealHomes();
    await using _host = await createOwnHost({ nameservers: [] });
    const before = await hostState();
    await using user = await createOrdinaryUser();
    await using home = await createRealHome({ program: user.program, uid: ORDINARY_UID });
    const say = async (port: number, words: string): Promise<string> => (await talk(port, words)).toString();
    const echo = async (words: string): Promise<string> => {
      using client = await udpClient(UDP);
      client.send(words);
      return (await client.next()).toString();
    };
    await home.must(["run", "-d", "--name", "web", "-p", `${TCP}:80`, "-p", `${UDP}:53/udp`]);
    await home.must(["exec", "-d", "web", "--", "perl", "-e", SERVERS]);
    await home.must(["exec", "web", "--", "sh", "-c", "until [ -e /run/ready ]; do :; done"]);

    expect([await say(TCP, "published"), await echo("datagram")]).toEqual(["published!", "datagram!"]);
    const forward = home.start(["forward", "web", `${FORWARDED}:80`]);
    await forward.printed("-> web:80");
    expect(await say(FORWARDED, "forwarded")).toBe("forwarded!");
    forward.kill("SIGINT");
    await forward.result;
    expect(await fateOf(FORWARDED)).toBe("ECONNREFUSED");
    await using server = await serveTcp((socket) =>
      socket.on("data", (bytes: Buffer) => socket.end(`heard ${bytes.toString()}`)),
    );
    const back = home.start(["forward", "web", "-R", `${BACK}:${server.port}`]);
    await back.printed(`-> 127.0.0.1:${server.port}`);
    const ask = `exec 3<>/dev/tcp/127.0.0.1/${BACK}; echo ping >&3; cat <&3`;
    expect((await home.must(["exec", "web", "--", "bash", "-c", ask])).stdout).toBe("heard ping\n");
    back.kill("SIGINT");
    await back.result;

    const keepers = keepersOf(home.home);
    expect(keepers).toHaveLength(1);
    await killUserDaemon(home);
    await home.must(["daemon", "start"]);
    expect([await say(TCP, "again"), await echo("too")]).toEqual(["again!", "too!"]);
    expect(keepersOf(home.home)).toEqual(keepers);
    await home.must(["set", "web", "--unpublish", String(TCP)]);
    expect(await fateOf(TCP)).toBe("ECONNREFUSED");
    await home.must(["set", "web", "--publish", `${TCP}:80`]);
    expect(await say(TCP, "once more")).toBe("once more!");

    await killUserDaemon(home);
    await home.must(["rm", "-f", "web"]);
    expect(await fateOf(TCP)).toBe("ECONNREFUSED");
    await home.must(["network", "down"]);
    expect(await userNetworkRemains(home.home)).toEqual([]);
    expect(await hostState()).toBe(before);
  },
);
