#!/usr/bin/env bash
# Builds bench/gpu/dist/bundle.tar.xz: Node for linux x64, the built package with its production dependencies, and the
# programs that run.sh runs. run.sh and this file are all that a machine with a GPU needs beside Python with JAX.
# Needs npm (from its cache, if it is there) and xz.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
out=$root/bench/gpu/dist
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
app=$stage/app
mkdir -p "$app" "$out"

npm run --silent build
npx tsc -p bench/tsconfig.json
npx esbuild bench/gpu/conformance.ts --bundle --platform=node --format=esm --log-level=warning \
  --external:koffi --external:onnxruntime-node --external:onnxruntime-web --external:protobufjs \
  --alias:vitest=./bench/gpu/runner.ts --alias:#pjrt=./src/engine/compile/xla/node.ts \
  --alias:#onnx-sessions=./src/engine/compile/onnx/node.ts --outfile=bench/dist/bench/gpu/conformance.js

cp "$(node -p process.execPath)" "$stage/node"
strip "$stage/node" 2>/dev/null || true
cp -r package.json package-lock.json bin dist "$app"
(cd "$app" && npm ci --omit=dev --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error)
mkdir -p "$app/bench"
cp -r bench/package.json bench/dist bench/peers "$app/bench"

# Other platforms' libraries, and what only people and compilers read.
onnxruntime=$app/node_modules/onnxruntime-node/bin
find "$onnxruntime" -type f ! -path '*/linux/x64/libonnxruntime.so.1' ! -path '*/linux/x64/*.node' -delete
find "$app" -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.md' -o -name '*.tsbuildinfo' \) -delete
rm -rf "$app/node_modules/onnxruntime-web" "$app/bench/peers/.venv" "$app/bench/peers/__pycache__"

tar -C "$stage" -c node app | xz -T2 -3 >"$out/bundle.tar.xz"
ls -l "$out/bundle.tar.xz" | awk '{ printf "bench/gpu/dist/bundle.tar.xz: %.1f MB\n", $5 / 1e6 }'
