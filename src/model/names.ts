/** Names of VMs: one rule, refused rather than rewritten, checked in the client and in the daemon. */
import { BangerError } from "./errors.ts";

const VM_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** A VM name: 1–63 characters of `a-z 0-9 -`, no hyphen at either end. Errors: `invalid_argument`. */
export function validateVmName(name: string): string {
  if (VM_NAME.test(name)) return name;
  throw new BangerError("invalid_argument", `the VM name ${quote(name)} is not valid`, {
    cure: "use 1 to 63 characters of a-z, 0-9 and '-', with no '-' at either end",
    details: { field: "name" },
  });
}

/**
 * A reference to a VM: a name, an id, or a prefix of an id. All three are made of the characters of names, so
 * anything else is refused before it is looked up. Errors: `invalid_argument`.
 */
export function validateVmRef(ref: string): string {
  if (VM_NAME.test(ref)) return ref;
  throw new BangerError("invalid_argument", `${quote(ref)} is not a VM name or id`, {
    cure: "list the VMs with: banger ps -a",
    details: { field: "ref" },
  });
}

/** Shows hostile text safely: JSON quoting escapes control characters, and length is bounded. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}

const ADJECTIVES =
  "amber agile bold brave brisk calm clever cosy crisp eager fair fleet fond gentle glad golden happy honest jolly keen kind lively lucid lucky merry mild neat nimble noble plucky polite proud quick quiet rapid ready rosy shiny silent smart snug spry sturdy sunny swift tidy vivid warm wise witty zesty".split(
    " ",
  );
const NOUNS =
  "badger beaver bison bobcat buffalo camel cheetah condor coyote crane dolphin eagle falcon ferret finch fox gecko gibbon hare hawk heron ibex jackal jaguar kestrel kiwi koala lark lemur lion llama lynx magpie marten mink moose newt ocelot orca osprey otter owl panda puffin puma raven robin seal stork swan tapir tern tiger toucan walrus weasel wolf wombat wren yak zebra".split(
    " ",
  );

/**
 * A readable name such as `brisk-otter-4f2a`, from 6 random bytes. It is not checked against existing names: whoever
 * reserves it does that.
 */
export function vmNameFromBytes(bytes: Uint8Array): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = bytes;
  const adjective = ADJECTIVES[(a * 256 + b) % ADJECTIVES.length] ?? "plain";
  const noun = NOUNS[(c * 256 + d) % NOUNS.length] ?? "vm";
  return `${adjective}-${noun}-${((e << 8) | f).toString(16).padStart(4, "0")}`;
}
