/** Where talk goes: standard error. Standard output is kept for results. */
export interface Logger {
  info(line: string): void;
  warn(line: string): void;
}

/** Logger to standard error; `quiet` drops information, never warnings. */
export function consoleLogger(quiet = false): Logger {
  return {
    info: (line) => {
      if (!quiet) process.stderr.write(`${line}\n`);
    },
    warn: (line) => {
      process.stderr.write(`warning: ${line}\n`);
    },
  };
}

/** Logger that drops everything: the library's default. */
export const silentLogger: Logger = { info: () => {}, warn: () => {} };
