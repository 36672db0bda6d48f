#!/bin/sh
# Makes the .ptx files of this folder from their .cu files; needs clang 19.
set -eu
cd "$(dirname "$0")"
for name in sgemm kernels; do
    "${CLANG:-clang++-19}" -x cuda --cuda-device-only --cuda-gpu-arch=sm_70 --cuda-feature=+ptx60 \
        -nocudainc -nocudalib -O3 -S "$name.cu" -o "$name.ptx"
done
