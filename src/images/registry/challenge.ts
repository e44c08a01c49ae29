/** The header `WWW-Authenticate`: RFC 9110, 11.3 and 11.6.1. */

export interface Challenge {
  /** In lower case: `bearer`, `basic`. */
  readonly scheme: string;
  /** Names in lower case. The first of a name counts. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** A longer header is no header of a registry. */
const MAX_LENGTH = 16 * 1024;
const MAX_CHALLENGES = 16;

const TOKEN = "[A-Za-z0-9!#$%&'*+.^_`|~-]+";
const PARAMETER = new RegExp(
  `[ \\t]*(${TOKEN})[ \\t]*=[ \\t]*(?:"((?:[^"\\\\]|\\\\[^])*)"|(${TOKEN}))[ \\t]*`,
  "uy",
);
/** A scheme ends at a space or at the end; `name=` is a parameter and not a scheme. */
const SCHEME = new RegExp(`[ \\t]*(${TOKEN})(?=[ \\t]+|,|$)[ \\t]*`, "uy");
const COMMAS = /(?:[ \t]*,)+[ \t]*/uy;
const TOKEN68 = /[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|$)/uy;

/** The challenges that can be made out; what follows something else is left out. Never throws. */
export function parseChallenges(header: string): Challenge[] {
  const text = header.slice(0, MAX_LENGTH);
  const challenges: Challenge[] = [];
  let at = match(COMMAS, text, 0)?.end ?? 0;
  while (at < text.length && challenges.length < MAX_CHALLENGES) {
    const scheme = match(SCHEME, text, at);
    if (scheme === undefined) break;
    const { parameters, end } = readParameters(text, scheme.end);
    challenges.push({ scheme: (scheme.groups[0] ?? "").toLowerCase(), parameters });
    if (end === at) break;
    at = end;
  }
  return challenges;
}

function readParameters(
  text: string,
  from: number,
): { readonly parameters: Map<string, string>; readonly end: number } {
  const parameters = new Map<string, string>();
  // A challenge may be one opaque text instead (token68); none that a registry sends means anything to us.
  const opaque = match(PARAMETER, text, from) === undefined ? match(TOKEN68, text, from) : undefined;
  let at = opaque?.end ?? from;
  for (;;) {
    const next = match(PARAMETER, text, at);
    if (next === undefined) break;
    const [name = "", quoted, plain] = next.groups;
    const value = quoted === undefined ? (plain ?? "") : quoted.replace(/\\([^])/gu, "$1");
    if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), value);
    at = next.end;
    const comma = match(COMMAS, text, at);
    if (comma === undefined) break;
    at = comma.end;
  }
  return { parameters, end: match(COMMAS, text, at)?.end ?? at };
}

function match(
  pattern: RegExp,
  text: string,
  at: number,
): { readonly groups: readonly (string | undefined)[]; readonly end: number } | undefined {
  pattern.lastIndex = at;
  const found = pattern.exec(text);
  return found === null ? undefined : { groups: found.slice(1), end: pattern.lastIndex };
}
