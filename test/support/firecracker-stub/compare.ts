/** Makes a list of calls and holds the answers against it. */
import { expect } from "bun:test";
import type { Call } from "./calls.ts";
import type { ApiAnswer, ApiProcess } from "./client.ts";

/** For the stub, pass what it counts: every broken rule has to be written down, once, and nothing else. */
export async function expectCalls(
  api: ApiProcess,
  calls: readonly Call[],
  broken?: () => number,
): Promise<readonly ApiAnswer[]> {
  const answers: ApiAnswer[] = [];
  for (const call of calls) {
    const before = broken?.() ?? 0;
    const answer = await api.call(call.method, call.path, call.body);
    const expected = broken === undefined ? (call.realStatus ?? call.status) : call.status;
    const about = `${call.method} ${call.path} ${JSON.stringify(call.body)?.slice(0, 200)}`;
    expect({ about, status: answer.status, message: answer.message }).toEqual({
      about,
      status: expected,
      message:
        call.says === undefined || expected !== 400 ? answer.message : expect.stringMatching(call.says),
    });
    if (broken !== undefined)
      expect({ about, broken: broken() - before }).toEqual({ about, broken: call.rule === true ? 1 : 0 });
    answers.push(answer);
  }
  return answers;
}
