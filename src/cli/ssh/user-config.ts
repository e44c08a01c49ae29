/** The one marked line that the user's own ~/.ssh/config is given, and taken again. Pure. */
import { BangerError } from "../../model/errors.ts";

/** Stands at the end of our line, and of no other. */
const MARK = "# added by banger ssh-config --install";

/**
 * The file with our line as its first: an Include behind a Host line would belong to that host (ssh_config(5)). Everything else stays
 * as it was, byte for byte; a line of ours that is there is replaced.
 */
export function withInclude(config: string, path: string): string {
  return `Include ${quoted(path)} ${MARK}\n${withoutInclude(config)}`;
}

/** The file without our line. */
export function withoutInclude(config: string): string {
  return config
    .split(/(?<=\n)/)
    .filter((line) => !line.trimEnd().endsWith(MARK))
    .join("");
}

/** What `Include` leads to. `proxy` is the argv that serves one host, whose name is put behind it. */
export function hostConfig(options: {
  readonly proxy: readonly string[];
  readonly identityFile: string;
  readonly knownHostsFile: string;
}): string {
  const { proxy, identityFile, knownHostsFile } = options;
  return `# Made by banger ssh-config; what stands here is replaced.
Host *.vm
  User root
  ProxyCommand ${proxy.map(shellWord).join(" ")} %n
  IdentityFile ${quoted(identityFile)}
  IdentitiesOnly yes
  UserKnownHostsFile ${quoted(knownHostsFile)}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  HostKeyAlgorithms ssh-ed25519
  CheckHostIP no
  ForwardAgent no
`;
}

/** A word of a ProxyCommand: for the shell, and with ssh's own percent signs escaped. */
export function shellWord(word: string): string {
  const plain = /^[A-Za-z0-9_./=:@+-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
  return plain.replaceAll("%", "%%");
}

/** A path as a word of ssh_config(5). Errors: `failed_precondition` for one that cannot be written there. */
export function quoted(path: string): string {
  if (/["\n]/.test(path)) {
    throw new BangerError("failed_precondition", `ssh cannot be told of the path ${path}`, {
      cure: "choose a BANGER_HOME without quotes and line breaks",
    });
  }
  return /\s/.test(path) ? `"${path}"` : path;
}
