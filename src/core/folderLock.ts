import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { writeError } from './atomicFile.js';
import { FactError, systemCodeOf } from './errors.js';

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** Start of the process as the system counts it, so that a reused process id is not taken for the holder. */
  readonly started: string | null;
}

function processStart(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null; // not Linux, or gone: the process id alone has to do
  }
}

function isAlive(holder: Holder): boolean {
  if (holder.host !== hostname()) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if (systemCodeOf(error) === 'ESRCH') return false;
  }
  return holder.started === null || processStart(holder.pid) === holder.started;
}

/** Times that a lock which vanishes is tried again. */
const ATTEMPTS = 20;
/** What file systems without hard links answer. */
const NO_LINKS = ['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'];

/** Who holds a lock; null: it is damaged; `free`: it has just been given back. */
function readHolder(path: string): Holder | null | 'free' {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as Partial<Holder>;
    if (Number.isInteger(value.pid) && typeof value.host === 'string') {
      return { pid: value.pid as number, host: value.host, started: value.started ?? null };
    }
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return 'free';
    if (!(error instanceof SyntaxError)) throw error;
  }
  return null;
}

/** Creates a lock with its content at once: one that is empty for a moment would look damaged. Throws EEXIST. */
function createLock(path: string, content: string): void {
  const draft = `${path}.${process.pid}`;
  try {
    writeFileSync(draft, content);
    linkSync(draft, path);
  } catch (error) {
    if (!NO_LINKS.includes(systemCodeOf(error) ?? '')) throw error;
    writeFileSync(path, content, { flag: 'wx' });
  } finally {
    rmSync(draft, { force: true });
  }
}

/**
 * Takes the lock of a folder, so that no second run writes there; a lock whose process is gone is taken over.
 * @param path the lock's file, in the folder or beside it @returns a function that gives the lock back
 * Throws FactError E_RUN_LOCKED, E_WRITE.
 */
export function lockFolder(folder: string, path = join(folder, 'run.lock')): () => void {
  const me: Holder = { pid: process.pid, host: hostname(), started: processStart(process.pid) };
  let wasRemoved = false;
  for (let attempt = 0; ; attempt++) {
    try {
      mkdirSync(dirname(path), { recursive: true });
      createLock(path, JSON.stringify(me));
      return () => rmSync(path, { force: true });
    } catch (error) {
      const code = systemCodeOf(error);
      // Who gave it back may have removed the folder as well.
      if (code === 'ENOENT' && attempt < ATTEMPTS) continue;
      if (code !== 'EEXIST') throw writeError(path, error);
      const found = readHolder(path);
      // To remove it now could take the lock from one who was quicker.
      if (found === 'free' && attempt < ATTEMPTS) continue;
      const holder = found === 'free' ? null : found;
      if (found === 'free' || wasRemoved || (holder !== null && isAlive(holder))) {
        throw new FactError({
          code: 'E_RUN_LOCKED',
          message: `${folder} is in use by process ${holder?.pid ?? '?'} on ${holder?.host ?? '?'}`,
          remedy: `Wait for that run, choose another --out, or delete ${path} if it is gone.`,
        });
      }
      rmSync(path, { force: true });
      wasRemoved = true;
    }
  }
}
