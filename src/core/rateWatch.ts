/** The slowest connection that is waited for. */
export const LEAST_BYTES_PER_SECOND = 1024;

/** Ends a request that is too slow, or that the caller ends. */
export class RateWatch {
  isLate = false;
  private bytes = 0;
  private readonly controller = new AbortController();
  private readonly timer: NodeJS.Timeout;
  private readonly onAbort = (): void => this.controller.abort();

  constructor(
    timeoutMs: number,
    private readonly outer: AbortSignal | undefined,
  ) {
    const least = (LEAST_BYTES_PER_SECOND * timeoutMs) / 1000;
    this.timer = setInterval(() => {
      if (this.bytes < least) {
        this.isLate = true;
        this.controller.abort();
      }
      this.bytes = 0;
    }, timeoutMs);
    if (outer?.aborted === true) this.controller.abort();
    outer?.addEventListener('abort', this.onAbort);
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  count(bytes: number): void {
    this.bytes += bytes;
  }

  stop(): void {
    clearInterval(this.timer);
    this.outer?.removeEventListener('abort', this.onAbort);
  }
}
