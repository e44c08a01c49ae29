/** Which of a plan's faults a request meets. */
import type { HttpRequest } from "./http-reader.ts";
import type { FaultRule, Misdeed } from "./plan.ts";

/** The first rule that fits wins; each rule counts the requests that fit it, from 1. */
export function createMisdeeds(rules: readonly FaultRule[]): (request: HttpRequest) => Misdeed | undefined {
  const counts = rules.map(() => 0);
  return (request) => {
    const name = `${request.method} ${request.path}`;
    let found: Misdeed | undefined;
    for (const [index, rule] of rules.entries()) {
      if (rule.on !== "*" && rule.on !== name) continue;
      const count = (counts[index] ?? 0) + 1;
      counts[index] = count;
      if (rule.nth === undefined || rule.nth === count) found ??= rule.do;
    }
    return found;
  };
}
