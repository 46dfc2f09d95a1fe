import { afterEach, describe, expect, it, vi } from 'vitest';
import { withSignals } from '../../src/cli/signals.js';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('work that can be stopped', () => {
  for (const [name, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`is told of the first ${name} and ends with ${status}; the second ends the process at once`, async () => {
      vi.spyOn(process.stderr, 'write').mockReturnValue(true);
      const exit = vi.spyOn(process, 'exit').mockReturnValue(undefined as never);
      const result = await withSignals(async (signal, exitStatus) => {
        expect([signal.aborted, exitStatus()]).toEqual([false, 0]);
        process.emit(name);
        expect(exit).not.toHaveBeenCalled();
        expect([signal.aborted, exitStatus()]).toEqual([true, status]);
        process.emit(name);
        return exitStatus();
      });
      expect(result).toBe(status);
      expect(exit).toHaveBeenCalledWith(status);
    });
  }

  it('leaves no listeners behind, also where it fails', async () => {
    const before = process.listenerCount('SIGINT');
    await expect(withSignals(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(process.listenerCount('SIGINT')).toBe(before);
  });
});
