import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';

/**
 * Starts a worker thread from the `.js` beside a built module, or from the `.ts` beside a source module through tsx
 * (tests, development). tsx has to be registered within the thread: Node 20 does not pass its hooks on to threads.
 * @param moduleUrl `import.meta.url` of the module that starts the worker
 * @param name file name of the worker without its extension
 */
export function startWorker(moduleUrl: string, name: string, workerData: unknown): Worker {
  if (!moduleUrl.endsWith('.ts')) return new Worker(new URL(`./${name}.js`, moduleUrl), { workerData });
  const tsxFolder = pathToFileURL(createRequire(moduleUrl).resolve('tsx/package.json'));
  const tsx = new URL('./dist/esm/api/index.mjs', tsxFolder).href;
  const file = new URL(`./${name}.ts`, moduleUrl).href;
  const bootstrap = `import { register } from ${JSON.stringify(tsx)}; register(); await import(${JSON.stringify(file)});`;
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(bootstrap)}`), { workerData });
}
