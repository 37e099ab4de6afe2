#!/usr/bin/env bash
# Measures Switchyard on this machine's NVIDIA GPU beside JAX's own code, in 6 minutes, and writes the figures as JSON.
# Needs Linux x64 and Python 3 with jax, its CUDA plugin and NVIDIA's wheels; neither Node nor a network.
#
#   bench/gpu/run.sh [FIGURES.json] [options of main.ts: --small, --limit SECONDS]
#
# PYTHON names the Python (default: python3). SWITCHYARD_PJRT_PLUGIN names another plugin than pip's CUDA plugin; with
# that of the CPU and --small, the script can be tried without a GPU.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
started=$(date +%s)
figures=figures.json
if [[ $# -gt 0 && $1 != --* ]]; then
  figures=$1
  shift
fi
python=${PYTHON:-python3}
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT

# Python unpacks: a bare machine may not have xz.
"$python" - "$here/dist/bundle.tar.xz" "$unpacked" <<'END'
import sys, tarfile
with tarfile.open(sys.argv[1], "r:xz") as bundle:
    bundle.extractall(sys.argv[2])
END

# The CUDA plugin finds NVIDIA's libraries beside it; those that are elsewhere are found by LD_LIBRARY_PATH.
found=$("$python" - <<'END'
import glob, importlib.util, os
plugin = ""
for name in ("xla_cuda13", "xla_cuda12"):
    try:
        spec = importlib.util.find_spec(f"jax_plugins.{name}")
    except ModuleNotFoundError:
        continue
    if spec and spec.submodule_search_locations:
        path = os.path.join(list(spec.submodule_search_locations)[0], "xla_cuda_plugin.so")
        if os.path.exists(path):
            plugin = path
            break
nvidia = importlib.util.find_spec("nvidia")
roots = list(nvidia.submodule_search_locations) if nvidia else []
print(plugin)
print(":".join(path for root in roots for path in sorted(glob.glob(os.path.join(root, "*", "lib")))))
END
)
plugin=$(sed -n 1p <<<"$found")
libraries=$(sed -n 2p <<<"$found")
export SWITCHYARD_PJRT_PLUGIN=${SWITCHYARD_PJRT_PLUGIN:-$plugin}
if [[ -z $SWITCHYARD_PJRT_PLUGIN ]]; then
  echo "$python has no CUDA plugin of JAX: pip install jax-cuda13-pjrt, or set SWITCHYARD_PJRT_PLUGIN" >&2
  exit 1
fi
export LD_LIBRARY_PATH=${libraries}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export SWITCHYARD_BACKEND=xla
# Both programs of a race have memory of the same GPU.
export XLA_CLIENT_MEM_FRACTION=0.45 XLA_PYTHON_CLIENT_PREALLOCATE=false
echo "plugin: $SWITCHYARD_PJRT_PLUGIN"

limit=$((345 - ($(date +%s) - started)))
"$unpacked/node" "$unpacked/app/bench/dist/bench/gpu/main.js" \
  --out "$figures" --python "$python" --limit "$limit" "$@"
