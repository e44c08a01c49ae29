/** Guest agents that turn hostile, as small programs that speak the protocol just so far. */
import type { FakeProgram } from "../../src/vmm/fake/programs.ts";

/** Frames as in protocol/README.md section 1; the channel is fresh, so that SYNC comes without padding. */
function script(onOpen: string): string {
  return `
  use strict;
  open(my $listener, "+<&=", 3) or die "descriptor 3: $!";
  $SIG{PIPE} = "IGNORE";
  accept(my $c, $listener) or die;
  sub take { my $n = shift; my $all = ""; while (length $all < $n) { sysread($c, $all, $n - length $all, length $all) or exit 0 } $all }
  sub frame { my ($type, $stream, $payload, $tag) = @_; pack("VV", $type | (length($payload) << 8), $stream) . $payload . $tag }
  my $sync = take(8 + 18 + 4);
  my $nonce = substr($sync, 8, 16);
  my $tag = substr($nonce, 0, 4);
  syswrite($c, frame(2, 0, $nonce . pack("v", 1) . '{"agent":"0","bootId":"b","kernel":"k","uptimeMs":1,"configured":false}', "BNG1"));
  for (my $opens = 0;;) {
    my ($head, $stream) = unpack("VV", take(8));
    take(($head >> 8) + 4);
    next unless ($head & 255) == 5;
    ${onOpen}
  }
`;
}

/** Greets and configures as it should, and answers the next request with noise. */
export const lyingAgent: FakeProgram = program(
  script(`if ($opens++ == 0) { syswrite($c, frame(10, $stream, '{"ok":{"steps":[]}}', $tag)) }
    else { syswrite($c, "this is no frame" x 64) }`),
);

/** Greets, answers the first requests with these CLOSE payloads, and then nothing any more. */
export function wordsAgent(closes: readonly string[]): FakeProgram {
  const words = closes.map((close) => `'${close}'`).join(", ");
  return program(
    script(
      `my @words = (${words}); if ($opens < @words) { syswrite($c, frame(10, $stream, $words[$opens], $tag)) } $opens++;`,
    ),
  );
}

function program(text: string): FakeProgram {
  return { listens: "inherited", argv: () => ["perl", "-e", text] };
}
