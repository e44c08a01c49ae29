/** Which servers a real guest reaches, of those on port 80 in test/network/internet.ts: each says hello to whoever connects. */
import { GREETING } from "../network/internet.ts";

/** A host that is busy answers late; what is refused is refused at once. */
const PATIENCE_S = 30;

export interface Greetings {
  /** For the guest's bash: what each address says, or how it was refused. */
  readonly script: string;
  /** The addresses whose servers were heard, in what the script printed. */
  heardIn(words: string): string[];
}

/** Of servers on these addresses. */
export function greetingsOf(addresses: readonly string[]): Greetings {
  return {
    script: addresses
      .map(
        (address) =>
          `(exec 3<>/dev/tcp/${address}/80 && read -t ${PATIENCE_S} -u 3 word; echo "${address} $word") 2>&1`,
      )
      .join(";"),
    heardIn(words) {
      const lines = new Set(words.split("\n"));
      return addresses.filter((address) => lines.has(`${address} ${GREETING}`));
    },
  };
}
