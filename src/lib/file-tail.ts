/** The end of a text file that somebody else writes, made safe to show. */
import { open } from "node:fs/promises";

/** The last `maxBytes` of the file, or nothing when it does not exist. Bytes that are no UTF-8 come out replaced. */
export async function readTail(path: string, maxBytes: number): Promise<string> {
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (file === undefined) return "";
  try {
    const { size } = await file.stat();
    const bytes = Buffer.alloc(Math.min(size, maxBytes));
    const { bytesRead } = await file.read(bytes, 0, bytes.length, Math.max(0, size - maxBytes));
    return bytes.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** The last `count` lines of `text` that say something, without control characters or escape sequences. */
export function lastLines(text: string, count: number): string[] {
  return (
    text
      // oxlint-disable-next-line eslint/no-control-regex -- control characters are what is removed
      .replace(/\u001b\[[0-9;?]*[ -/]*[@-~]|[\u0000-\u0008\u000b-\u001f\u007f]/g, "")
      .split("\n")
      .map((line) => line.trimEnd())
      .filter((line) => line !== "")
      .slice(-count)
  );
}
