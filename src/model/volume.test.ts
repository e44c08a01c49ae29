import { expect, test } from "bun:test";
import { BangerError } from "./errors.ts";
import { isDirectoryMount, parseMount, validateMountSource } from "./volume.ts";

test("a mount is of a volume, or of a directory that is only read", () => {
  expect(parseMount("data:/srv")).toEqual({ volume: "data", target: "/srv", readOnly: false });
  expect(parseMount("data:/srv:ro")).toEqual({ volume: "data", target: "/srv", readOnly: true });
  expect(parseMount("/home/me/a b:/srv:ro")).toEqual({
    volume: "/home/me/a b",
    target: "/srv",
    readOnly: true,
  });
  expect(["data", "/data"].map((volume) => isDirectoryMount({ volume }))).toEqual([false, true]);
});

const BAD = [
  "/home:/srv",
  "/home:/srv:rw",
  "data",
  "data:srv",
  "data:/srv:no",
  "~/x:/srv:ro",
  ":/srv",
  "/a:/b:/c:ro",
];

test.each(BAD)("%j is no mount, and the error says what to write", (text) => {
  const error = catchError(() => parseMount(text));
  expect(error.code).toBe("invalid_argument");
  expect(error.cure).toBeString();
});

test("a path with control characters is refused", () => {
  expect(catchError(() => validateMountSource("/a\nb")).code).toBe("invalid_argument");
});

function catchError(work: () => unknown): BangerError {
  try {
    work();
  } catch (error) {
    return BangerError.from(error);
  }
  throw new Error("it succeeded");
}
