/** The folder of a finished evaluation, and the one beside it in which an unfinished one waits. */

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { recoverFolder, writeError, writeFileAtomic, writeFolderAtomic } from '../../../core/atomicFile.js';
import { namesIn, outExists } from '../../../core/outFolder.js';
import { evaluationPage } from './evaluationPage.js';
import { EVALUATION_FORMAT, type SaeEvaluation } from './evaluationSchema.js';
import { type EvaluationState, readEvaluationState, writeEvaluationState } from './evaluationState.js';

export const EVALUATION_FILE = 'evaluation.json';
export const EVALUATION_PAGE = 'index.html';
const STATE_FILE = 'state.safetensors';

function isEvaluation(folder: string): boolean {
  try {
    return JSON.parse(readFileSync(join(folder, EVALUATION_FILE), 'utf8')).format === EVALUATION_FORMAT;
  } catch {
    // Unreadable or not JSON: not one of ours, so not ours to replace.
    return false;
  }
}

/**
 * Where an evaluation goes. It replaces an earlier evaluation or an empty folder, never anything else; until it is
 * finished, its sums wait in `<target>.partial` and an earlier evaluation stays.
 */
export class EvaluationFolder {
  readonly partial: string;
  private readonly state: string;

  /** Undoes a replacement that a killed process left half-way. Throws FactError E_OUT_EXISTS. */
  constructor(readonly target: string) {
    this.partial = `${target}.partial`;
    this.state = join(this.partial, STATE_FILE);
    recoverFolder(target);
    if (existsSync(target) && namesIn(target)?.length !== 0 && !isEvaluation(target))
      throw outExists(target, 'an evaluation of this program');
    const left = existsSync(this.partial) ? namesIn(this.partial) : [];
    if (left === null || left.some((name) => name !== STATE_FILE && !name.startsWith(`.${STATE_FILE}.`)))
      throw outExists(this.partial, 'an unfinished evaluation of this program');
  }

  /** What an earlier run of the same work left; null where there is none. Throws FactError E_EVAL_STATE. */
  read(identity: string): EvaluationState | null {
    return readEvaluationState(this.state, identity);
  }

  /** Throws FactError E_WRITE. */
  save(identity: string, state: EvaluationState): void {
    writeEvaluationState(this.state, identity, state);
  }

  /** Writes JSON and page, both or neither, and removes the sums. Throws FactError E_WRITE. */
  async finish(evaluation: SaeEvaluation): Promise<void> {
    await writeFolderAtomic(this.target, (folder) => {
      writeFileAtomic(join(folder, EVALUATION_FILE), `${JSON.stringify(evaluation, null, 1)}\n`);
      writeFileAtomic(join(folder, EVALUATION_PAGE), evaluationPage(evaluation));
    });
    try {
      rmSync(this.partial, { recursive: true, force: true });
    } catch (error) {
      throw writeError(this.partial, error);
    }
  }
}
