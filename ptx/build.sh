#!/usr/bin/env bash
# Compiles the kernels to PTX with Debian's clang-19; no CUDA toolkit is needed. Their neuron,
# neuron.cuh, is generated from the library's by tests/cuda_source.rs.
#   ptx/build.sh          writes ptx/neuron.cuh and ptx/*.ptx
#   ptx/build.sh --check  fails if they are not what the sources give
set -euo pipefail
cd "$(dirname "$0")"
into=.
if [ "${1:-}" = --check ]; then
    into=$(mktemp -d)
    trap 'rm -r "$into"' EXIT
else
    export SPIKEGRAD_WRITE_NEURON=1
fi
cargo test --release --quiet --test cuda_source
for source in *.cu; do
    "${CLANG:-clang++-19}" -x cuda --cuda-device-only --cuda-gpu-arch=sm_70 --cuda-feature=+ptx60 \
        -nocudainc -nocudalib -std=c++17 -O3 -fcuda-short-ptr -mllvm -nvptx-short-ptr \
        -ffp-contract=off -Wall -Wextra -S "$source" -o "$into/${source%.cu}.ptx"
    # Without the comments and blanks, of which there is a fifth.
    sed -i -E 's,[[:space:]]*//.*,,; s,^[[:space:]]+,,; /^$/d' "$into/${source%.cu}.ptx"
    if [ "$into" != . ]; then
        diff "${source%.cu}.ptx" "$into/${source%.cu}.ptx"
    fi
done
