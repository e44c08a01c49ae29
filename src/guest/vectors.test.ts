/** The golden vectors of the protocol (protocol/README.md section 8), which the agent's tests read too. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { FrameDecoder } from "./frames.ts";

const DIR = join(import.meta.dir, "../../protocol/vectors");

const Repeat = z.strictObject({ repeat: z.tuple([z.string(), z.int()]) });
const Bytes = z
  .union([z.string(), z.array(z.union([z.string(), Repeat]))])
  .transform((bytes) =>
    Buffer.concat(
      (typeof bytes === "string" ? [bytes] : bytes).map((part) =>
        Buffer.from(typeof part === "string" ? part : part.repeat[0].repeat(part.repeat[1]), "hex"),
      ),
    ),
  );
const Vector = z.strictObject({
  name: z.string(),
  note: z.string(),
  side: z.enum(["guest", "host"]),
  tag: z.int(),
  bytes: Bytes,
  frames: z.array(z.strictObject({ type: z.int(), stream: z.int(), payload: Bytes })),
  violation: z.enum(["type", "length", "tag"]).nullable(),
});

const vectors = readdirSync(DIR)
  .filter((name) => name.endsWith(".json"))
  .map((name) => Vector.parse(JSON.parse(readFileSync(join(DIR, name), "utf8"))));

test("there are vectors for good frames and for every violation", () => {
  expect(new Set(vectors.map((vector) => vector.violation))).toEqual(
    new Set([null, "type", "length", "tag"]),
  );
  expect(new Set(vectors.flatMap((vector) => vector.frames.map((frame) => frame.type))).size).toBe(11);
});

test.each(vectors.map((vector) => [vector.name, vector] as const))(
  "the decoder agrees with the vector %s, whole and cut up",
  (_, vector) => {
    for (const size of [vector.bytes.length, 4093, ...(vector.bytes.length < 10_000 ? [1] : [])]) {
      const frames: { type: number; stream: number; payload: Buffer }[] = [];
      const decoder = new FrameDecoder(vector.tag, (frame) => {
        frames.push({ type: frame.type, stream: frame.stream, payload: Buffer.from(frame.payload) });
      });
      for (let at = 0; at < vector.bytes.length; at += size)
        decoder.push(vector.bytes.subarray(at, at + size));
      expect(frames).toEqual(vector.frames);
      expect(decoder.violation ?? null).toBe(vector.violation);
    }
  },
);
