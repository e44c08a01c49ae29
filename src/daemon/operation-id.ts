/** The id of the operation under way: on its answer, and on every line that anything it calls writes to the log. */
import { AsyncLocalStorage } from "node:async_hooks";

const current = new AsyncLocalStorage<string>();

export function createOperationId(): string {
  return `op-${crypto.randomUUID().slice(0, 8)}`;
}

/** Runs `work`, and whatever it starts, as part of the operation. */
export function runInOperation<T>(operation: string, work: () => T): T {
  return current.run(operation, work);
}

/** The fields of a log line that are there because of where it was written; for pino's `mixin`. */
export function operationFields(): { readonly operation?: string } {
  const operation = current.getStore();
  return operation === undefined ? {} : { operation };
}
