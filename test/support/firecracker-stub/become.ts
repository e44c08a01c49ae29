/** execve(2): what Bun has no API for. */
import { dlopen, ptr } from "bun:ffi";

/** This process goes on as another program, under its own id; returns only when that fails, by throwing. `argv[0]` is an absolute path. */
export function becomeProgram(argv: readonly [string, ...string[]]): never {
  const { symbols } = dlopen("libc.so.6", { execve: { args: ["ptr", "ptr", "ptr"], returns: "i32" } });
  const env = Object.entries(process.env).map(([name, value]) => `${name}=${value ?? ""}`);
  const texts = [argv, env].map((list) => list.map((text) => Buffer.from(`${text}\0`)));
  const [args = new BigUint64Array(1), environment = new BigUint64Array(1)] = texts.map((list) =>
    // The list ends with a null pointer.
    BigUint64Array.from([...list.map((text) => BigInt(ptr(text))), 0n]),
  );
  symbols.execve(Buffer.from(`${argv[0]}\0`), args, environment);
  throw new Error(`cannot become ${argv[0]} (${texts.length} lists)`);
}
