/** Exit statuses of the `fact` command: 1 = failed or above tolerance, 2 = wrong usage. */
export type ExitCode = 1 | 2;

export interface FactErrorFields {
  /** Stable code, `E_...`; documented in docs/errors.md. */
  readonly code: string;
  /** One line that names the thing: file, byte offset, key, tensor, layer; expected and received. */
  readonly message: string;
  /** One line that names the remedy. */
  readonly remedy: string;
  readonly exitCode?: ExitCode;
  readonly cause?: unknown;
}

/** The only error type that this package throws on purpose: what failed, a stable code, and what to do about it. */
export class FactError extends Error {
  readonly code: string;
  readonly remedy: string;
  readonly exitCode: ExitCode;

  constructor(fields: FactErrorFields) {
    super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause });
    this.name = 'FactError';
    this.code = fields.code;
    this.remedy = fields.remedy;
    this.exitCode = fields.exitCode ?? 1;
  }
}

/** Text of any thrown value, without a stack. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The system's error code (`ENOENT`, `ENOSPC`, ...) of a thrown value, or undefined. */
export function systemCodeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}
