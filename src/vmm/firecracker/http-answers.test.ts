import { describe, expect, test } from "bun:test";
import { array, assert, constantFrom, nat, oneof, property, string } from "fast-check";
import { BangerError } from "../../model/errors.ts";
import { type HttpAnswer, HttpAnswers, MAX_BODY_BYTES, MAX_HEAD_BYTES } from "./http-answers.ts";

const NO_CONTENT = "HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n";
const REFUSED =
  'HTTP/1.1 400 \r\nServer: Firecracker API\r\nContent-Type: application/json\r\nContent-Length: 23\r\n\r\n{"fault_message":"no!"}';

function cut(text: string, at: readonly number[] = []): readonly HttpAnswer[] {
  const bytes = Buffer.from(text);
  const answers = new HttpAnswers();
  const cuts = [0, ...at.map((place) => place % bytes.length), bytes.length].sort((a, b) => a - b);
  return cuts.flatMap((from, index) => answers.push(bytes.subarray(from, cuts[index + 1] ?? bytes.length)));
}

function fault(text: string): string {
  try {
    cut(text);
    return "";
  } catch (error) {
    expect(error).toBeInstanceOf(BangerError);
    return (error as BangerError).message;
  }
}

describe("HttpAnswers", () => {
  test("finds the same answers however the stream is cut", () => {
    const expected = [
      { status: 204, body: "" },
      { status: 400, body: '{"fault_message":"no!"}' },
      { status: 204, body: "" },
    ];
    assert(
      property(array(nat()), (at) => {
        expect(cut(NO_CONTENT + REFUSED + NO_CONTENT, at)).toEqual(expected);
      }),
      { seed: 4 },
    );
  });

  test("passes over 100 Continue", () => {
    expect(cut(`HTTP/1.1 100 \r\n\r\n${NO_CONTENT}`)).toEqual([{ status: 204, body: "" }]);
  });

  test.each([
    ["SSH-2.0\r\n\r\n", "status line"],
    ["HTTP/2 200 OK\r\n\r\n", "status line"],
    ["HTTP/1.1 999 \r\n\r\n", "status line"],
    ["HTTP/1.1 200 \r\nnonsense\r\n\r\n", "header line"],
    ["HTTP/1.1 200 \r\nContent-Length: -1\r\n\r\n", "length"],
    ["HTTP/1.1 200 \r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "length"],
    [`HTTP/1.1 200 \r\nContent-Length: ${MAX_BODY_BYTES + 1}\r\n\r\n`, "more than"],
    ["HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n", "unknown length"],
    [`HTTP/1.1 200 \r\nX: ${"x".repeat(MAX_HEAD_BYTES)}`, "head of more than"],
  ])("refuses %j", (text, words) => {
    expect(fault(text)).toContain(words);
  });

  test("never fails in another way, whatever comes", () => {
    const piece = oneof(
      constantFrom(
        "HTTP/1.1 200 ",
        "\r\n",
        "\r\n\r\n",
        "Content-Length: 3",
        "abc",
        "\0",
        NO_CONTENT,
        REFUSED,
      ),
      string(),
    );
    assert(
      property(array(piece), (pieces) => {
        fault(pieces.join(""));
      }),
      { seed: 4, numRuns: 500 },
    );
  });
});
