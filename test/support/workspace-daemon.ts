/** A daemon with one VM `web` whose files are this host's, and the ways in and out of its workspace. */
import type { ImportWorkspace, Workspace } from "../../src/api/types/workspaces.ts";
import { createTestDaemon, type TestDaemon, type TestDaemonOptions } from "./test-daemon.ts";
import { createScratch } from "./trees.ts";

export interface WorkspaceDaemon extends AsyncDisposable {
  readonly daemon: TestDaemon;
  /** A directory of the test. */
  at(...names: string[]): string;
  /** Copies `repo` of the directory to `guest` of it, unless said otherwise. */
  bring(wish?: Partial<ImportWorkspace>): Promise<Workspace>;
  patch(base?: string): Promise<Buffer>;
  /** What an export says is not in it. */
  leftOut(): Promise<string[]>;
}

export async function createWorkspaceDaemon(options: TestDaemonOptions = {}): Promise<WorkspaceDaemon> {
  const daemon = await createTestDaemon(options);
  const scratch = createScratch();
  await daemon.addImage("img");
  await daemon.client.createVm({ name: "web", image: "img" });
  return {
    daemon,
    at: (...names) => scratch.at(...names),
    bring: async (wish = {}) =>
      await daemon.client.importWorkspace("web", {
        path: scratch.at("repo"),
        guestPath: scratch.at("guest"),
        ...wish,
      }),
    patch: async (base) => {
      const pieces: Uint8Array[] = [];
      for await (const piece of await daemon.client.exportWorkspace("web", { base })) pieces.push(piece);
      return Buffer.concat(pieces);
    },
    leftOut: async () => {
      const said: string[] = [];
      const patch = await daemon.client.exportWorkspace("web", { onNote: (note) => void said.push(note) });
      for await (const _ of patch);
      return said;
    },
    async [Symbol.asyncDispose]() {
      await daemon[Symbol.asyncDispose]();
      scratch[Symbol.dispose]();
    },
  };
}
