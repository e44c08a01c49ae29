/** What is run in a VM before the command that it was made for: what its work tree says, one after the other. */
import { parseExecResult } from "../guest/commands.ts";
import type { AgentStream } from "../guest/stream.ts";
import { SETUP_LOG, type SetupSource, type SetupStep } from "../model/bootstrap.ts";
import { BangerError } from "../model/errors.ts";
import { quote } from "../model/names.ts";
import type { VmRecord } from "../model/vm.ts";
import type { VmContext } from "./context.ts";
import { execInVm } from "./exec.ts";

/** Who watches it. */
export interface SetupClient {
  /** What the commands write, both channels in one. */
  onOutput(bytes: Uint8Array): void;
  /** The command under way, for credit of channel 1 and for giving up. */
  onStream(stream: AgentStream): void;
}

/**
 * Runs `$2` by a shell, writes it and what it writes to the log `$1` as well, and ends as it does. A program that it leaves behind
 * does not keep the log's descriptors 3 and 4.
 */
const LOGGED = `
mkdir -p "\${1%/*}"
if ! command -v tee >/dev/null 2>&1; then
  echo "not logged: the image has no tee"
  exec sh -c "$2" 2>&1
fi
exec 4>&1
code=$({ { printf '+ %s\\n' "$3"; sh -c "$2" 3>&- 4>&-; echo $? >&3; } 2>&1 | tee -a "$1" >&4 3>&-; } 3>&1)
exit "\${code:-1}"`;

/** mise asks before it believes a configuration; this one came with the user's own work tree. */
const MISE = `
PATH="$PATH:$HOME/.local/bin"
if ! command -v mise >/dev/null 2>&1; then
  echo "skipped: the image has no mise; https://mise.jdx.dev/installing-mise.html says how it gets one"
  exit 0
fi
export MISE_YES=1 MISE_TRUSTED_CONFIG_PATHS="$PWD"
`;

/** Errors: `guest_error` for a command that fails, naming it and the log; those of `execInVm`. The VM is left as it is. */
export async function runSetup(
  ctx: VmContext,
  vm: VmRecord,
  steps: readonly SetupStep[],
  client: SetupClient,
): Promise<void> {
  const log = logOf(vm);
  for (const step of steps) {
    const how = await runStep(ctx, vm, { step, log }, client);
    if (how !== undefined) throw failed(vm, { step, log, how });
  }
}

/** How it failed; undefined: it did not. */
async function runStep(
  ctx: VmContext,
  vm: VmRecord,
  { step, log }: { readonly step: SetupStep; readonly log: string },
  client: SetupClient,
): Promise<string | undefined> {
  const script = step.source === "tools" ? `${MISE}exec ${step.command}` : step.command;
  const argv = ["/bin/sh", "-c", LOGGED, "sh", log, script, step.command];
  const onData = (_: 1 | 2, bytes: Uint8Array): void => client.onOutput(bytes);
  try {
    const stream = await execInVm(ctx, vm, { argv, user: "root" }, { onData });
    client.onStream(stream);
    stream.sendEnd();
    const result = parseExecResult(await stream.result);
    if (result.kind === "detached") return "was left alone";
    if (result.kind === "signalled") return `was killed by ${result.signal}`;
    return result.exitCode === 0 ? undefined : `ended with exit code ${result.exitCode}`;
  } catch (thrown) {
    const error = BangerError.from(thrown);
    if (error.details["guestCode"] === undefined) throw error;
    return `did not start: ${error.message}`;
  }
}

const WORDS: Readonly<Record<SetupSource, string>> = {
  tools: "tools",
  devcontainer: "postCreateCommand",
  setup: "setup",
};

function failed(
  { name, ephemeral }: VmRecord,
  { step, log, how }: { readonly step: SetupStep; readonly log: string; readonly how: string },
): BangerError {
  const look = ephemeral
    ? "run it without --rm to look at the VM"
    : `see what it wrote with: banger exec ${name} -- cat ${log}`;
  const message = `${WORDS[step.source]} of the work tree failed in ${name}: ${quote(step.command)} ${how}; its log is ${log}`;
  return new BangerError("guest_error", message, {
    cure: `${look}; or go without it: --no-bootstrap`,
    details: { vm: name, source: step.source, command: step.command, log },
  });
}

function logOf({ spec }: VmRecord): string {
  const wish = spec.env["BANGER_SETUP_LOG"];
  return wish !== undefined && /^\/[^\0\n]{1,1023}$/.test(wish) ? wish : SETUP_LOG;
}
