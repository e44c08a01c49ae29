import { expect, test } from "bun:test";
import { joinBashWords } from "./bash-words.ts";

test.each([
  [["show", ""], ["show", ""], 0],
  [["show", "we"], ["show", "we"], 0],
  [["run", "--image", "=", "de"], ["run", "--image=de"], 8],
  [["run", "--image", "="], ["run", "--image="], 8],
  [["image", "rm", "ghcr.io/a", ":", "1"], ["image", "rm", "ghcr.io/a:1"], 10],
  [["image", "rm", "host", ":", "5000/a", ":", "1"], ["image", "rm", "host:5000/a:1"], 12],
  [["run", "-v", "data", ":", "/srv", ""], ["run", "-v", "data:/srv", ""], 0],
  [["run", "-v", "data", ":", ""], ["run", "-v", "data:", ""], 0],
  [[""], [""], 0],
] as const)("joinBashWords(%j) is %j, of which bash has heard %d", (pieces, words, cut) => {
  expect(joinBashWords(pieces)).toEqual({ words: [...words], cut });
});
