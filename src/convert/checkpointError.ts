import { FactError } from '../core/errors.js';

/** Why a file was refused. Each class has its stable code. */
export type CheckpointFault = 'unsafe' | 'truncated' | 'corrupt' | 'unsupported' | 'too_large';

const CODES: Readonly<Record<CheckpointFault, string>> = {
  unsafe: 'E_CKPT_UNSAFE',
  truncated: 'E_CKPT_TRUNCATED',
  corrupt: 'E_CKPT_CORRUPT',
  unsupported: 'E_CKPT_UNSUPPORTED',
  too_large: 'E_CKPT_TOO_LARGE',
};

const REMEDIES: Readonly<Record<CheckpointFault, string>> = {
  unsafe:
    'Nothing was executed. Save only the weights, torch.save(model.state_dict(), path), and convert that file; do not unpickle this one elsewhere.',
  truncated: 'The file ends too early: download or copy it again and compare its size.',
  corrupt: 'The file contradicts its format: download or copy it again and compare its checksum.',
  unsupported:
    'Save the weights as a plain state dict, torch.save(model.state_dict(), path), or as safetensors.',
  too_large: 'If the file is meant to be like this, save its state dict alone, without views or compression.',
};

/** Makes the errors of one file, so that each names the file and where in it. */
export class CheckpointErrors {
  /** @param file name as the user gave it. */
  constructor(readonly file: string) {}

  /**
   * @param where byte offset or member, e.g. `archive/data.pkl, byte 17`; empty for the file as a whole
   * @param what one sentence without full stop: expected and received
   */
  fault(fault: CheckpointFault, where: string, what: string, remedy = REMEDIES[fault]): FactError {
    const place = where.length > 0 ? `${this.file}: ${where}` : this.file;
    return new FactError({ code: CODES[fault], message: `${place}: ${what}`, remedy });
  }
}

/** Text from a file made fit for one line of a message: control characters escaped, cut to 80 characters. */
export function quoted(text: string): string {
  const cut = text.length > 80 ? `${text.slice(0, 77)}...` : text;
  return JSON.stringify(cut);
}
