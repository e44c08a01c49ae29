import { expect, test } from "bun:test";
import { parseDetachKeys } from "../../model/detach-keys.ts";
import { type KeyAction, KeyWatch } from "./keys.ts";

/** What comes of `typed`, as words: sent text in quotes, the rest by its name. */
function words(typed: string, piece: number, { keys = "ctrl-p,ctrl-q", escapes = true } = {}): string {
  const watch = new KeyWatch({ detachKeys: parseDetachKeys(keys), escapes });
  const bytes = Buffer.from(typed, "latin1");
  const actions: KeyAction[] = [];
  for (let at = 0; at < bytes.length; at += piece)
    actions.push(...watch.feed(bytes.subarray(at, at + piece)));
  let text = "";
  for (const action of actions) {
    text += action.kind === "send" ? Buffer.from(action.bytes).toString("latin1") : `<${action.kind}>`;
  }
  return text;
}

const CASES: readonly (readonly [typed: string, expected: string])[] = [
  ["ls\r", "ls\r"],
  ["\x10\x11", "<detach>"],
  ["a\x10b", "a\x10b"],
  ["\x10\x10\x11", "\x10<detach>"],
  ["~.", "<disconnect>"],
  ["a~.", "a~."],
  ["a\r~.", "a\r<disconnect>"],
  ["~~.", "~."],
  ["~x\r~?", "~x\r<help>"],
  ["~d", "<detach>"],
  ["~\x1a", "<suspend>"],
  ["~\x10x", "~\x10x"],
  ["\xc3\xa4~.\r", "\xc3\xa4~.\r"],
];

test.each(CASES)("%j becomes %j, in whatever pieces it comes", (typed, expected) => {
  for (const piece of [1, 2, 100]) expect(words(typed, piece)).toBe(expected);
});

test("without escapes and detach keys every byte is the guest's", () => {
  const all = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join("");
  expect(words(`~.${all}`, 7, { keys: "", escapes: false })).toBe(`~.${all}`);
});

test("keys are written as Docker writes them", () => {
  expect(parseDetachKeys("ctrl-p,ctrl-q")).toEqual(Uint8Array.of(0x10, 0x11));
  expect(parseDetachKeys("a,ctrl-@,ctrl-\\")).toEqual(Uint8Array.of(0x61, 0, 0x1c));
  for (const none of ["", "none"]) expect(parseDetachKeys(none)).toEqual(Uint8Array.of());
  for (const bad of ["ctrl-", "ctrl-1", "ab", "a,,b", "ä"])
    expect(() => parseDetachKeys(bad)).toThrow("no key");
  expect(() => parseDetachKeys(Array(17).fill("a").join(","))).toThrow("too many");
});
