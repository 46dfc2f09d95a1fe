import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** What a program answers for one run of a case. */
export interface Timing {
  readonly wallMs: number;
  readonly cpuMs: number;
  /** A number computed from the result, so that nothing can be skipped. */
  readonly value: number;
  readonly peakMb: number;
  readonly version: string;
}

/** A live process that runs a named case per line of standard input; programs take turns between processes. */
export class BenchServer {
  private readonly child: ChildProcess;
  private readonly answers: AsyncIterator<string>;

  constructor(
    readonly name: string,
    command: string,
    args: readonly string[],
    env: Record<string, string>,
    cwd?: string,
  ) {
    this.child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const { stdout } = this.child;
    if (stdout === null) throw new Error(`${name}: no standard output`);
    this.answers = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  /** Runs a case once. Throws if the process ended. */
  async run(benchCase: string): Promise<Timing> {
    return (await this.ask(benchCase)) as Timing;
  }

  /** Asks for anything else than a run; the answer is whatever the process prints as JSON. */
  async ask(question: string): Promise<unknown> {
    this.child.stdin?.write(`${question}\n`);
    const { value, done } = await this.answers.next();
    if (done) throw new Error(`${this.name} ended while it was asked ${question}`);
    return JSON.parse(value);
  }

  /** Drops what earlier cases hold in memory. */
  async drop(): Promise<void> {
    await this.ask('drop');
  }

  close(): void {
    this.child.stdin?.end();
  }
}

/** Median of some numbers. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Lower and upper quartile by linear interpolation. */
export function quartiles(values: readonly number[]): [number, number] {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (q: number): number => {
    const position = q * (sorted.length - 1);
    const low = Math.floor(position);
    const high = Math.min(low + 1, sorted.length - 1);
    return sorted[low] + (position - low) * (sorted[high] - sorted[low]);
  };
  return [at(0.25), at(0.75)];
}
