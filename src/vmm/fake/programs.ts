/**
 * What stands in for a hypervisor: small real programs that serve the machine's agent channel on a listening socket
 * which they inherit. Perl, because it is there on every Debian (package perl-base) and starts in two milliseconds.
 */
import type { Machine } from "../../model/machine.ts";

export interface ProgramStart {
  readonly socketPath: string;
  /** It plays a guest that goes on from a snapshot. */
  readonly resumed: boolean;
}

/** How a program gets to its agent channel. */
export interface FakeProgram {
  /** `inherited`: it finds the listening Unix socket as descriptor 3. `itself`: it makes one at `socketPath`. */
  readonly listens: "inherited" | "itself";
  /** The command line; it serves connections one after the other until it is killed. */
  readonly argv: (machine: Machine, start: ProgramStart) => readonly [string, ...string[]];
}

/** The guest agent in rehearsal: the real protocol, real execs on this host. `path` is its binary, absolute. */
export function agentProgram(path: string): FakeProgram {
  return {
    listens: "itself",
    argv: (_machine, { socketPath, resumed }) => [
      path,
      "--serve-unix",
      socketPath,
      ...(resumed ? ["--configured"] : []),
    ],
  };
}

const SERVE = 'open(my $listener, "+<&=", 3) or die "descriptor 3: $!";';

/** Sends back what it receives. */
export const echoProgram: FakeProgram = perl(`${SERVE} while (accept(my $client, $listener)) {
    while (sysread($client, my $bytes, 65536)) {
      for (my $sent = 0; $sent < length $bytes;) {
        $sent += syswrite($client, $bytes, length($bytes) - $sent, $sent) // last;
      }
    }
  }`);

/** Lets clients connect and never reads nor writes. */
export const silentProgram: FakeProgram = perl("sleep");

/** Sends 1 MiB of noise, the same every time, to whoever connects, and hangs up. */
export const garbageProgram: FakeProgram =
  perl(`${SERVE} $SIG{PIPE} = "IGNORE"; srand(1); while (accept(my $client, $listener)) {
    syswrite($client, pack("C*", map { int(rand(256)) } 1 .. 65536)) // last for 1 .. 16;
  }`);

/** Ends as soon as it runs, with last words. */
export const quitterProgram: FakeProgram = perl('print STDERR "fake hypervisor: cannot go on\\n"; exit 3');

/** Ignores TERM, as a hypervisor that hangs would, and then says so with one byte to whoever connects. */
export const stubbornProgram: FakeProgram = perl(
  `$SIG{TERM} = "IGNORE"; ${SERVE} accept(my $client, $listener); syswrite($client, "."); sleep while 1`,
);

function perl(script: string): FakeProgram {
  return { listens: "inherited", argv: () => ["perl", "-e", script] };
}
