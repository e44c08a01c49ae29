/** What a route takes and gives, as schemas. */
import type { z } from "zod";
import type { OperationId } from "./paths.ts";

export interface RouteContract {
  readonly summary: string;
  readonly body?: z.ZodType;
  /** Query parameters: strings in the URL, parsed by the schema; unknown ones are refused. */
  readonly query?: z.ZodType;
  /** The answer, or the `result` of a `progress` route. */
  readonly answer: z.ZodType;
  /** What a `bytes` route sends. */
  readonly type?: BytesType;
  /** Notes for people stand in a header of the answer; see notes.ts. */
  readonly notes?: boolean;
}

export type BytesType = "application/x-tar" | "text/x-patch";

/** The contracts of all operations on some nouns: `vm` is `vm.list`, `vm.show`, … */
export type Contracts<Noun extends string> = Readonly<
  Record<Extract<OperationId, Noun | `${Noun}.${string}`>, RouteContract>
>;
