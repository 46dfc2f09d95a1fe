#!/bin/sh
# Compiles src/engine/wasm/native/*.c into src/engine/wasm/nativeBinary.ts. Only for those who change the C sources:
# the result is committed, users need no compiler. Needs clang and wasm-ld (Debian: apt-get install clang lld).
set -eu
cd "$(dirname "$0")/.."
folder=src/engine/wasm/native
out=$(mktemp)
trap 'rm -f "$out"' EXIT
clang --target=wasm32 -O3 -msimd128 -mbulk-memory -mmutable-globals -Wall -Werror -nostdlib \
  -Wl,--no-entry,--import-memory,--export=__stack_pointer,--strip-all \
  -o "$out" "$folder/gemm.c" "$folder/conv2d.c" "$folder/depthwise.c" "$folder/maxPool.c" \
  "$folder/rows.c" "$folder/copy.c"
sources=$(cat "$folder"/*.h "$folder"/*.c | sha256sum | cut -d' ' -f1)
cat > src/engine/wasm/nativeBinary.ts <<TS
// Made by scripts/build-wasm-kernels.sh from the C sources in native/; do not edit.

/** SHA-256 of the C sources, headers first, in the order of their names. */
export const NATIVE_SOURCES_SHA256 = '$sources';

/** SHA-256 of the WebAssembly module below. */
export const NATIVE_MODULE_SHA256 = '$(sha256sum "$out" | cut -d' ' -f1)';

/** The WebAssembly module, base64. */
export const NATIVE_MODULE_BASE64 =
  '$(base64 -w0 "$out")';
TS
ls -l "$out"
