/** The stub's `firecracker` program: `main.ts PLAN CHROOT ARGUMENTS…`; CHROOT is empty outside of a jail. */
import { existsSync, readFileSync } from "node:fs";
import { ApiServer } from "./api-server.ts";
import { ArgumentError, instanceIdFault, type ParsedArguments, parseArguments } from "./arguments.ts";
import { Machine } from "./machine.ts";
import { createMisdeeds } from "./misdeeds.ts";
import type { StubPlan } from "./plan.ts";
import { createRecorder } from "./record.ts";

const DEFAULT_SOCKET = "/run/firecracker.socket";
/** vmm's HTTP_MAX_PAYLOAD_SIZE. */
const MAX_BODY_BYTES = 51200;

const [planPath = "", chroot = "", ...argv] = process.argv.slice(2);
const plan: StubPlan = JSON.parse(readFileSync(planPath, "utf8"));
const record = createRecorder(plan.recordPath);
main();

function main(): void {
  const parsed = parse();
  if (parsed === undefined) return;
  if (parsed.flags.has("help")) return void process.stdout.write(`Firecracker v${plan.version}\n\n`);
  if (parsed.flags.has("version")) {
    // The original's logger writes to the standard output until it is told otherwise, and so says good-bye there.
    const time = new Date().toISOString().replace("Z", "000000");
    process.stdout.write(
      `Firecracker v${plan.version}\n\n${time} [anonymous-instance:main] Firecracker exiting successfully. exit_code=0\n`,
    );
    return;
  }
  if (parsed.flags.has("snapshot-version")) return void process.stdout.write("v11.0.0\n");
  run(parsed);
}

function parse(): ParsedArguments | undefined {
  try {
    return parseArguments(argv, {
      flags: [
        "no-seccomp",
        "no-api",
        "show-level",
        "show-log-origin",
        "boot-timer",
        "enable-pci",
        "snapshot-version",
      ],
      values: [
        "api-sock",
        "id",
        "seccomp-filter",
        "start-time-us",
        "start-time-cpu-us",
        "parent-cpu-time-us",
        "log-path",
        "level",
        "module",
        "metrics-path",
        "http-api-max-payload-size",
        "mmds-size-limit",
      ],
      lists: [],
      required: [],
      forbids: [["no-seccomp", "seccomp-filter"]],
    });
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error;
    record({ kind: "violation", message: `firecracker ${argv.join(" ")}: ${error.message}` });
    process.stderr.write(`Error: ParseArguments(${error.debug})\n`);
    process.exitCode = 153;
    return undefined;
  }
}

function run({ values }: ParsedArguments): void {
  const id = values.get("id") ?? "anonymous-instance";
  const socketPath = values.get("api-sock") ?? DEFAULT_SOCKET;
  record({ kind: "start", argv, chroot });
  const idFault = instanceIdFault(id);
  if (idFault !== undefined) {
    record({ kind: "violation", message: `--id ${id}: ${idFault}` });
    return quit(134, `Invalid instance ID: ${idFault}`);
  }
  if (plan.start?.kind === "exit") return quit(plan.start.code, plan.start.words);
  if (plan.start?.kind === "no-socket") return void setInterval(() => undefined, 1 << 30);
  if (chroot !== "") process.chdir(chroot);

  const machine = new Machine({ plan, record, id, toHost });
  const logPath = values.get("log-path");
  if (logPath !== undefined) machine.outputs.logTo(toHost(logPath));
  const metricsPath = values.get("metrics-path");
  if (metricsPath !== undefined) machine.outputs.metricsTo(toHost(metricsPath));
  machine.outputs.log(`Running Firecracker v${plan.version}`);
  // Bun would take a socket over that is already there.
  if (existsSync(toHost(socketPath)))
    return quit(1, `Error: RunWithApi(FailedToBindSocket("${socketPath}"))`);
  const end = (code: number, why: string): void => {
    machine.kill();
    quit(code, why);
  };
  const api = new ApiServer({
    machine,
    record,
    maxBodyBytes: Number(values.get("http-api-max-payload-size") ?? MAX_BODY_BYTES),
    misdeed: createMisdeeds(plan.faults),
    quit: end,
  });
  api.server.once("error", (error) =>
    end(1, `Error: RunWithApi(FailedToBindAndRunHttpServer(${error.message}))`),
  );
  api.server.listen(toHost(socketPath), () => {
    record({ kind: "listening", path: socketPath });
    machine.outputs.log(`Listening on API socket ("${socketPath}").`);
  });
  void machine.off.promise.then(async () => {
    await api.idle();
    machine.outputs.log("Firecracker exiting successfully. exit_code=0");
    machine.kill();
    quit(0, "");
  });
}

/** `why` is said on the standard error, unless the end is a good one. */
function quit(code: number, why: string): void {
  record({ kind: "exit", code, why });
  if (code !== 0) process.stderr.write(`${why}\n`);
  process.exit(code);
}

/** In a jail the working directory is its root, so that socket paths stay as short as they are inside. */
function toHost(path: string): string {
  return chroot === "" ? path : `.${path.startsWith("/") ? "" : "/"}${path}`;
}
