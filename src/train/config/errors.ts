import { FactError } from '../../core/errors.js';

/** A wrong recipe: code E_CONFIG, exit status 2. `where` is `file:line` or the `--set` that brought the value. */
export function configError(where: string, what: string, remedy: string): FactError {
  return new FactError({ code: 'E_CONFIG', message: `${where}: ${what}`, remedy, exitCode: 2 });
}
