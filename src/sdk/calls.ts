/** One request of the daemon by the id of its operation, and its answer in each of the ways there are. */
import { fillPath, MAX_BODY_BYTES, type OperationId, PATHS } from "../api/paths.ts";
import type { ProgressLine } from "../api/types/progress.ts";
import { BangerError, type ErrorBody } from "../model/errors.ts";
import { connectionError, daemonEnded, readBytes, readLines, readText } from "./answers.ts";
import type { HttpAnswer, Transport } from "./transport.ts";

export interface CallOptions {
  /** Cancels the operation, also in the daemon. */
  readonly signal?: AbortSignal;
}

export interface LongCallOptions extends CallOptions {
  readonly onProgress?: (line: ProgressLine) => void;
}

export interface CallInput extends LongCallOptions {
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** Errors of every method: BangerError, with the daemon's code, message and cure; `unavailable` when there is no daemon. */
export class Calls {
  readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  /** The whole answer, which is JSON. */
  async json<T>(id: OperationId, input: CallInput): Promise<T> {
    const answer = await this.send(id, input);
    return JSON.parse(await readText(answer)) as T;
  }

  /** The result of an answer of NDJSON; its other lines go to `onProgress`. */
  async progress<T>(id: OperationId, input: CallInput): Promise<T> {
    const answer = await this.send(id, input);
    try {
      for await (const text of readLines(answer.body)) {
        const line = JSON.parse(text) as ProgressLine;
        if (line.event === "result") return line.result as T;
        if (line.event === "error") throw BangerError.fromBody(line.error);
        input.onProgress?.(line);
      }
    } catch (error) {
      throw connectionError(error, input.signal);
    }
    throw daemonEnded();
  }

  /** Sends a request and turns an error answer into a BangerError; so are errors of reading the body. */
  async send(id: OperationId, input: CallInput): Promise<HttpAnswer> {
    const query = new URLSearchParams(input.query).toString();
    const path = fillPath(id, input.path) + (query === "" ? "" : `?${query}`);
    const body = input.body === undefined ? undefined : JSON.stringify(input.body);
    if (body !== undefined && body.length > MAX_BODY_BYTES) {
      throw new BangerError("resource_exhausted", `the request is larger than ${MAX_BODY_BYTES} bytes`);
    }
    try {
      const answer = await this.transport.request({
        method: PATHS[id].method,
        path,
        body,
        signal: input.signal,
      });
      if (answer.status < 400) return { ...answer, body: readBytes(answer, input.signal) };
      const { error } = JSON.parse(await readText(answer)) as { error: ErrorBody };
      throw BangerError.fromBody(error);
    } catch (error) {
      throw connectionError(error, input.signal);
    }
  }
}
