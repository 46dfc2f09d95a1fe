/*
 * The page that explains a photograph in the browser. The file explain.onnx beside it does the computing; everything
 * else is what `fact explain` runs. The page's content security policy allows no connection but to its own server, so
 * neither photograph nor network leave the computer.
 */

import { className } from '../../models/classes.js';
import { BaseExplainer, type TargetChoice } from '../baseExplainer.js';
import type { ExplainImage } from '../explanation.js';
import { ExportedPrograms } from '../exported/programs.js';
import { type ExportedMetadata, exportedSubject } from '../exported/subject.js';
import { escapeHtml, explanationArticle, STYLE } from '../report/page.js';
import { ledgerLine } from '../report/words.js';
import { canvasUrl, readPhotograph } from './pictures.js';
import {
  type Device,
  fetchBytes,
  hasRuntime,
  hasWebGpu,
  loadRuntime,
  openSession,
  threadCount,
} from './runtime.js';

/** What `page.json` beside the page says. */
export interface PageFacts {
  readonly model: string;
  /** Folder of ONNX Runtime, ending in a slash. */
  readonly runtime: string;
  readonly top: number;
  readonly examples: readonly string[];
  readonly metadata: ExportedMetadata;
}

function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element "${id}"`);
  return found as T;
}

function say(text: string, isError = false): void {
  const status = element('status');
  status.textContent = text;
  status.className = isError ? 'bad' : '';
}

const seconds = (from: number): string => `${((performance.now() - from) / 1000).toFixed(2)} s`;

class Page {
  private readonly explainer: Promise<BaseExplainer>;
  private image: ExplainImage | null = null;
  /** Counts requests, so that an answer that comes late is not shown. */
  private turn = 0;

  constructor(
    private readonly facts: PageFacts,
    private readonly device: Device,
  ) {
    this.explainer = this.load();
    this.explainer.catch((error: unknown) => say(String(error), true));
  }

  private async load(): Promise<BaseExplainer> {
    const { facts, device } = this;
    const start = performance.now();
    const show = (done: number, total: number): void => {
      const size = `${(done / 1e6).toFixed(1)}${total > 0 ? ` of ${(total / 1e6).toFixed(1)}` : ''} MB`;
      say(`Loading the network: ${size}`);
    };
    const [runtime, bytes] = await Promise.all([
      loadRuntime(facts.runtime, device),
      fetchBytes(facts.model, show),
    ]);
    const session = await openSession(runtime, bytes, device);
    const programs = new ExportedPrograms(runtime, session, facts.metadata, facts.top);
    const threads = device === 'webgpu' ? 'WebGPU' : `WebAssembly, ${threadCount()} threads`;
    say(`Ready after ${seconds(start)} (${threads}). Drop a photograph, choose one, or try an example.`);
    return new BaseExplainer(exportedSubject(facts.metadata), programs, { top: facts.top });
  }

  async show(file: Blob, name: string): Promise<void> {
    const { spec } = exportedSubject(this.facts.metadata);
    this.image = await readPhotograph(file, name, spec);
    element<HTMLSelectElement>('for').value = '';
    element<HTMLSelectElement>('versus').value = '';
    await this.explain();
  }

  /** Explains the current photograph for the classes that are chosen. */
  async explain(): Promise<void> {
    const { image } = this;
    if (image === null) return;
    const turn = ++this.turn;
    const choice = chosenTarget();
    const explainer = await this.explainer;
    const start = performance.now();
    say('Explaining …');
    const [explanation] = await explainer.explain([image], choice);
    const spent = seconds(start);
    const html = await explanationArticle(explanation, explainer.subject.spec.preprocessing, canvasUrl);
    if (turn !== this.turn) return;
    element('result').innerHTML = html;
    element('question').hidden = false;
    say(`Explained in ${spent}. ${ledgerLine(explanation)}`);
  }
}

function chosenTarget(): TargetChoice {
  const [main, versus] = ['for', 'versus'].map((id) => element<HTMLSelectElement>(id).value);
  return {
    ...(main === '' ? {} : { for: Number(main) }),
    ...(versus === '' ? {} : { versus: Number(versus) }),
  };
}

function listClasses(metadata: ExportedMetadata): void {
  const { spec } = exportedSubject(metadata);
  const names = Array.from({ length: spec.options.numClasses }, (_, i) => ({ i, name: className(spec, i) }));
  names.sort((a, b) => a.name.localeCompare(b.name));
  const options = names.map(({ i, name }) => `<option value="${i}">${escapeHtml(name)}</option>`).join('');
  for (const id of ['for', 'versus']) element(id).insertAdjacentHTML('beforeend', options);
}

function listExamples(page: Page, examples: readonly string[]): void {
  for (const address of examples) {
    const name = address.slice(address.lastIndexOf('/') + 1);
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'example';
    button.innerHTML = `<img src="${escapeHtml(address)}" alt="${escapeHtml(name)}">`;
    button.addEventListener('click', () => {
      void attempt(async () => page.show(await (await fetch(address)).blob(), name));
    });
    element('examples').append(button);
  }
}

async function attempt(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    say(error instanceof Error ? error.message : String(error), true);
  }
}

function listen(page: Page): void {
  const drop = element('drop');
  const input = element<HTMLInputElement>('file');
  const take = (files: FileList | null | undefined): void => {
    const file = files?.[0];
    if (file !== undefined) void attempt(() => page.show(file, file.name));
  };
  input.addEventListener('change', () => {
    take(input.files);
    input.value = '';
  });
  for (const type of ['dragenter', 'dragover', 'dragleave', 'drop'])
    document.addEventListener(type, (event) => {
      event.preventDefault();
      drop.classList.toggle('over', type === 'dragenter' || type === 'dragover');
    });
  document.addEventListener('drop', (event) => take(event.dataTransfer?.files));
  document.addEventListener('paste', (event) => take(event.clipboardData?.files));
  for (const id of ['for', 'versus'])
    element(id).addEventListener('change', () => void attempt(() => page.explain()));
}

/** On servers that do not isolate pages, a service worker adds the headers that threads need; the page loads once more. */
async function isolate(): Promise<void> {
  if (globalThis.crossOriginIsolated || !('serviceWorker' in navigator)) return;
  if (sessionStorage.getItem('isolated') !== null) return;
  sessionStorage.setItem('isolated', 'tried');
  await navigator.serviceWorker.register('isolation-worker.js');
  await navigator.serviceWorker.ready;
  location.reload();
}

async function chooseDevice(facts: PageFacts): Promise<Device> {
  const wanted = new URLSearchParams(location.search).get('device');
  const select = element<HTMLSelectElement>('device');
  if (!(await hasWebGpu()) || !(await hasRuntime(facts.runtime, 'webgpu'))) return 'wasm';
  select.disabled = false;
  select.value = wanted === 'webgpu' ? 'webgpu' : 'wasm';
  select.addEventListener('change', () => {
    location.search = select.value === 'webgpu' ? '?device=webgpu' : '';
  });
  return wanted === 'webgpu' ? 'webgpu' : 'wasm';
}

async function start(): Promise<void> {
  const style = document.createElement('style');
  style.textContent = STYLE;
  document.head.prepend(style);
  await isolate();
  const facts = (await (await fetch('page.json')).json()) as PageFacts;
  const page = new Page(facts, await chooseDevice(facts));
  listClasses(facts.metadata);
  listExamples(page, facts.examples);
  listen(page);
}

void attempt(start);
