/** The only error type that this package throws on purpose: what failed, a stable code, and what to do about it. */
export class FactError extends Error {
    code;
    remedy;
    exitCode;
    constructor(fields) {
        super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause });
        this.name = 'FactError';
        this.code = fields.code;
        this.remedy = fields.remedy;
        this.exitCode = fields.exitCode ?? 1;
    }
}
/** Text of any thrown value, without a stack. */
export function messageOf(error) {
    return error instanceof Error ? error.message : String(error);
}
/** The system's error code (`ENOENT`, `ENOSPC`, ...) of a thrown value, or undefined. */
export function systemCodeOf(error) {
    const code = error?.code;
    return typeof code === 'string' ? code : undefined;
}
