/** One session of an SSH client: a command or a shell of the guest, on a terminal or not, or the sftp subsystem. */
import type { PseudoTtyInfo, ServerChannel, Session } from "ssh2";
import type { ExecRequest } from "../../api/types/exec.ts";
import { BangerError } from "../../model/errors.ts";
import type { Command, Exit } from "../../sdk/command.ts";
import { exitCodeOfCommand } from "../exit-codes.ts";
import { renderError } from "../render/error.ts";
import { type AgentForward, forwardAgent } from "./agent.ts";
import type { SshGuest } from "./proxy.ts";
import { pump } from "./pump.ts";

/** Variables that a client may set, as Debian's sshd allows (AcceptEnv of sshd_config). */
const ALLOWED_VARIABLE = /^(LANG|LC_[A-Z]+|COLORTERM|TZ)$/;
const MAX_VARIABLES = 32;
const MAX_SIDE = 65_535;

type Tty = NonNullable<ExecRequest["tty"]>;

/** Where images have OpenSSH's own server for files: for guests whose agent is from before it had one. */
const SFTP_SERVERS = [
  "/usr/lib/openssh/sftp-server",
  "/usr/libexec/openssh/sftp-server",
  "/usr/lib/ssh/sftp-server",
  "/usr/libexec/sftp-server",
  "/usr/lib/misc/sftp-server",
];
const SFTP = [
  "/bin/sh",
  "-c",
  `for s in ${SFTP_SERVERS.join(" ")}; do [ -x $s ] && exec $s; done; echo "sftp: this VM was saved by an older banger, and its image has no sftp-server; start it anew, or copy with: banger cp" >&2; exit 127`,
];

/** Answers everything that the client asks of this session, until its command has ended. */
export function serveSession(session: Session, guest: SshGuest): void {
  const env: Record<string, string> = {};
  let tty: Tty | undefined;
  let command: Command | undefined;
  let agent: Promise<AgentForward> | undefined;

  const start = async (
    channel: ServerChannel,
    wish: Pick<ExecRequest, "argv" | "builtin">,
  ): Promise<void> => {
    await using stack = new AsyncDisposableStack();
    try {
      const forward = agent === undefined ? undefined : stack.use(await agent);
      const extra = forward === undefined ? {} : { SSH_AUTH_SOCK: forward.path };
      const request: ExecRequest = { ...wish, env: { ...env, ...extra }, user: guest.user, tty };
      command = guest.client.exec(guest.vm, request, {
        onStdout: async (bytes) => await send(channel, bytes),
        onStderr: async (bytes) => await send(channel.stderr, bytes),
      });
      end(channel, await relay(channel, command));
    } catch (thrown) {
      const error = BangerError.from(thrown);
      await send(channel.stderr, Buffer.from(`${renderError(error)}\n`.replaceAll("\n", "\r\n")));
      end(channel, { exitCode: exitCodeOfCommand(error), timedOut: false });
    }
  };

  session.on("pty", (accept, _, info) => {
    tty = terminal(info);
    accept?.();
  });
  session.on("window-change", (accept, _, info) => {
    if (tty !== undefined) command?.resize({ cols: side(info.cols, 80), rows: side(info.rows, 24) });
    accept?.();
  });
  session.on("env", (accept, reject, { key, val }) => {
    const wanted =
      ALLOWED_VARIABLE.test(key) && !val.includes("\0") && Object.keys(env).length < MAX_VARIABLES;
    if (!wanted) return reject?.();
    env[key] = val;
    accept?.();
  });
  session.on("signal", (accept, _, { name }) => {
    if (/^[A-Z0-9]{1,12}$/.test(name)) command?.signal(name);
    accept?.();
  });
  session.on("auth-agent", (accept, reject) => {
    const socket = process.env["SSH_AUTH_SOCK"];
    if (socket === undefined || socket === "") return reject?.();
    agent ??= forwardAgent(guest.client.files(guest.vm), { socket, user: guest.user });
    agent.catch(() => undefined);
    accept?.();
  });
  session.on("shell", (accept) => void start(accept(), {}));
  session.on("exec", (accept, _, info) => void start(accept(), { argv: ["/bin/sh", "-c", info.command] }));
  session.on("subsystem", (accept, reject, { name }) => {
    if (name === "sftp") void start(accept(), { argv: SFTP, builtin: "sftp" });
    else reject?.();
  });
}

/** Input until the client ends it; a client that goes takes the command with it. */
async function relay(channel: ServerChannel, command: Command): Promise<Exit | undefined> {
  const sink = {
    take: async (bytes: Uint8Array) => await command.write(bytes),
    end: async () => await command.end(),
  };
  // The command's own end says what went wrong.
  pump(channel, sink, () => undefined);
  let over = false;
  channel.on("close", () => {
    if (!over) void command.cancel();
  });
  try {
    return await command.exit;
  } finally {
    over = true;
  }
}

function end(channel: ServerChannel, exit: Exit | undefined): void {
  if (exit?.signal === undefined || exit.timedOut) channel.exit(exit?.exitCode ?? 0);
  else channel.exit(exit.signal, false);
  channel.end();
}

/** Resolves when there is room for more, or nobody left to take it. */
async function send(
  stream: { write(bytes: Uint8Array, done: () => void): boolean },
  bytes: Uint8Array,
): Promise<void> {
  await new Promise<void>((resolve) => {
    stream.write(bytes, () => resolve());
  });
}

function terminal(info: PseudoTtyInfo & { readonly term: string }): Tty {
  const { cols, rows, term } = info;
  return {
    cols: side(cols, 80),
    rows: side(rows, 24),
    term: /^[A-Za-z0-9._+-]{1,64}$/.test(term) ? term : "xterm",
  };
}

function side(value: number, fallback: number): number {
  return value >= 1 ? Math.min(value, MAX_SIDE) : fallback;
}
