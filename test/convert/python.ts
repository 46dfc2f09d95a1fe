import { execFileSync, spawnSync } from 'node:child_process';

const HAS_TORCH = 'import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)';

/** A Python that has PyTorch: the one that FACT_PYTHON names, else the system's; null where there is none. No test needs one. */
function findPython(): string | null {
  const named = process.env.FACT_PYTHON;
  const candidates = named === undefined ? ['python3', 'python'] : [named];
  return candidates.find((one) => spawnSync(one, ['-c', HAS_TORCH]).status === 0) ?? null;
}

export const python = findPython();
export const PYTHON_REASON = python === null ? ' (skipped: no Python with PyTorch, see FACT_PYTHON)' : '';

/** What a program printed, line by line. */
export function runPython(code: string, ...args: string[]): string[] {
  if (python === null) throw new Error('no Python');
  return execFileSync(python, ['-c', code, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
    .trim()
    .split('\n');
}
