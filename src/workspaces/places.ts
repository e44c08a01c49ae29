/** What the host keeps of a workspace, in the directory of its VM. docs/files.md has the names. */
import { join } from "node:path";

export class WorkspacePlaces {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** The same of a submodule, by its number in the record. */
  submodule(number: number): WorkspacePlaces {
    return new WorkspacePlaces(join(this.directory, "submodules", String(number)));
  }

  /** See shadow.ts. */
  get shadow(): string {
    return join(this.directory, "shadow");
  }

  /** The index as it was sent last. */
  get index(): string {
    return join(this.directory, "index");
  }

  /** The references as they were sent last, as `packed-refs` has them. */
  get refs(): string {
    return join(this.directory, "refs");
  }

  /** See manifest.ts. */
  get manifest(): string {
    return join(this.directory, "manifest");
  }
}
