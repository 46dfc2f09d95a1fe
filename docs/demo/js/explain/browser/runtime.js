/** More threads than this do not help networks of the size that a page loads. */
const MOST_THREADS = 8;
/** Whether this browser lets a page use the graphics card. */
export async function hasWebGpu() {
    const { gpu } = navigator;
    if (gpu === undefined)
        return false;
    return gpu.requestAdapter().then((adapter) => adapter !== null, () => false);
}
/** Threads that WebAssembly may use: one where the page is not isolated from other origins. */
export function threadCount() {
    return globalThis.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;
}
const MODULES = {
    wasm: 'ort.wasm.min.mjs',
    webgpu: 'ort.webgpu.min.mjs',
};
/**
 * Address of the first folder that has the runtime for a device, or null.
 * @param folders addresses relative to the page, each ending in a slash
 */
export async function findRuntime(folders, device) {
    for (const folder of folders) {
        const base = new URL(folder, document.baseURI).href;
        const found = await fetch(base + MODULES[device], { method: 'HEAD' }).catch(() => null);
        if (found?.ok)
            return base;
    }
    return null;
}
/** Loads the runtime from the first folder that has it. Throws where none has. */
export async function loadRuntime(folders, device) {
    const base = await findRuntime(folders, device);
    if (base === null) {
        throw new Error(`ONNX Runtime (${MODULES[device]}) is not beside this page. Write the page with: npx fact export --page FOLDER`);
    }
    const runtime = (await import(base + MODULES[device]));
    runtime.env.wasm.wasmPaths = base;
    runtime.env.wasm.numThreads = threadCount();
    return runtime;
}
/** Bytes of a file beside the page; `progress` hears how many have come, of how many (0: unknown). */
export async function fetchBytes(address, progress) {
    const answer = await fetch(address);
    if (!answer.ok || answer.body === null)
        throw new Error(`${address}: the server answers ${answer.status}`);
    const total = Number(answer.headers.get('content-length') ?? 0);
    const pieces = [];
    let done = 0;
    const reader = answer.body.getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
        pieces.push(next.value);
        done += next.value.length;
        progress(done, total);
    }
    const bytes = new Uint8Array(done);
    let at = 0;
    for (const piece of pieces) {
        bytes.set(piece, at);
        at += piece.length;
    }
    return bytes;
}
/** A session of a file's bytes. */
export function openSession(runtime, bytes, device) {
    return runtime.InferenceSession.create(bytes, {
        logSeverityLevel: 3,
        executionProviders: device === 'webgpu' ? ['webgpu', 'wasm'] : ['wasm'],
    });
}
