/** What every command gets: where to write, and the daemon when it is needed. */
import type { Client } from "../sdk/client.ts";
import { connectDaemon } from "./start-daemon.ts";

export interface CliOptions {
  /** The argv that runs this program again. */
  readonly self: readonly string[];
  readonly version: string;
}

export class CliContext {
  readonly version: string;
  /** What stood behind `--`. */
  readonly command: readonly string[];
  /** The exit code of a command that ended without an error. */
  exitCode = 0;
  readonly #self: readonly string[];
  #client: Promise<Client> | undefined;

  constructor(options: CliOptions, command: readonly string[]) {
    this.version = options.version;
    this.command = command;
    this.#self = options.self;
  }

  /** The daemon's client; starts the daemon when none answers. */
  async client(): Promise<Client> {
    this.#client ??= connectDaemon(this.#self);
    return await this.#client;
  }

  /** Data, for stdout. */
  print(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  printJson(value: unknown): void {
    this.print(JSON.stringify(value, null, 2));
  }

  /** Words for a person, on stderr. */
  say(text: string): void {
    process.stderr.write(`${text}\n`);
  }
}
