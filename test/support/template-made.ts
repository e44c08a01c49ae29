/** Waiting for what the daemon makes while nobody waits. */
import { existsSync, mkdirSync, readdirSync, watch } from "node:fs";
import { join } from "node:path";

/** Resolves when a template comes to be that was not there at the call. */
export async function templateMade(home: string): Promise<void> {
  const dir = join(home, "templates");
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const whole = (): string[] => readdirSync(dir).filter((name) => /^[0-9a-f]{32}-/.test(name));
  const before = new Map(whole().map((name) => [name, Bun.file(join(dir, name, "saved.json")).lastModified]));
  const made = Promise.withResolvers<void>();
  const look = (): void => {
    for (const name of whole()) {
      const path = join(dir, name, "saved.json");
      if (existsSync(path) && Bun.file(path).lastModified !== before.get(name)) made.resolve();
    }
  };
  const watcher = watch(dir, look);
  try {
    look();
    await made.promise;
  } finally {
    watcher.close();
  }
}
