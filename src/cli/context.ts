/** What every command gets: where to write, and the daemon when it is needed. */
import type { Client } from "../sdk/client.ts";
import { EXIT } from "./exit-codes.ts";
import { remarkOtherDaemon } from "./other-daemon.ts";
import { type OutputError, writeOutput } from "./output.ts";
import { printable } from "./render/printable.ts";
import { connectDaemon } from "./start-daemon.ts";

export interface CliOptions {
  /** The argv that runs this program again. */
  readonly self: readonly string[];
  readonly version: string;
  /** Of a binary: what it was made of. */
  readonly build?: string | undefined;
}

export class CliContext {
  readonly version: string;
  readonly #build: string | undefined;
  /** What stood behind `--`. */
  readonly command: readonly string[];
  /** The exit code of a command that ended without an error. */
  exitCode = 0;
  /** Nothing is said that was not asked for. */
  quiet = false;
  /** The argv that runs this program again. */
  readonly self: readonly string[];
  #written: Promise<OutputError> = Promise.resolve(undefined);
  #client: Promise<Client> | undefined;

  constructor(options: CliOptions, command: readonly string[]) {
    this.version = options.version;
    this.#build = options.build;
    this.command = command;
    this.self = options.self;
  }

  /** The daemon's client; starts the daemon when none answers. */
  async client(): Promise<Client> {
    this.#client ??= connectDaemon(this.self).then((client) => {
      this.remarkDaemon();
      return client;
    });
    return await this.#client;
  }

  /** Says when the daemon that runs is of another banger. */
  remarkDaemon(): void {
    if (this.quiet) return;
    const remark = remarkOtherDaemon({ version: this.version, build: this.#build }, process.env);
    if (remark !== undefined) this.say(remark);
  }

  /** Data, for stdout. */
  print(text: string): void {
    this.write(`${text}\n`);
  }

  /** Data as it is, for stdout. A reader that has gone ends the program, silently, as SIGPIPE would. */
  write(data: string | Uint8Array): void {
    this.#written = Promise.all([this.#written, writeOutput(1, data)]).then(([earlier, error]) => {
      if (error?.code === "EPIPE") process.exit(EXIT.readerGone);
      return earlier ?? error;
    });
  }

  /** Data that comes in pieces, at the pace of who reads them; no more is asked for once they cannot be written. */
  async writeAll(pieces: AsyncIterable<string | Uint8Array>): Promise<void> {
    for await (const piece of pieces) {
      this.write(piece);
      if ((await this.#written) !== undefined) return;
    }
  }

  /** Waits for what was written, and says when it was lost; false then. */
  async flush(): Promise<boolean> {
    const error = await this.#written;
    if (error === undefined) return true;
    this.say(`banger: cannot write to stdout: ${error.message}`);
    return false;
  }

  printJson(value: unknown): void {
    this.print(JSON.stringify(value, null, 2));
  }

  /** Words for a person, on stderr, whoever they are from; when they cannot be written there is nobody to tell. */
  say(text: string): void {
    void writeOutput(2, `${printable(text)}\n`);
  }
}
