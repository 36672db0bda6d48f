#!/usr/bin/env bash
# What NVIDIA's assembler makes of the kernels: architecture, kernel, registers of a thread, bytes of
# shared memory of a block. Fails if one spills, or keeps anything else in local memory. The CPU has no
# use for it; benches/roofline.rs works out from it how many blocks a multiprocessor holds.
#   ptx/registers.sh PTXAS > ptx/registers.txt
set -euo pipefail
cd "$(dirname "$0")"
cubin=$(mktemp) said=$(mktemp)
trap 'rm -f "$cubin" "$said"' EXIT
for sm in 70 75 80 89 90; do
    for ptx in *.ptx; do
        "$1" -arch=sm_$sm -v "$ptx" -o "$cubin" 2> "$said" || { cat "$said" >&2; exit 1; }
        if grep -E '(^|[^0-9])[1-9][0-9]* bytes (stack|spill)' "$said" >&2; then
            echo "$ptx uses local memory on sm_$sm" >&2
            exit 1
        fi
        awk -v sm=$sm '
            /Compiling entry function/ { split($0, part, "\047"); name = part[2] }
            /Used [0-9]+ registers/ {
                shared = 0
                for (i = 2; i <= NF; i++) {
                    if ($i == "registers,") registers = $(i - 1)
                    if ($i ~ /^smem/) shared = $(i - 2)
                }
                print sm, name, registers, shared
            }' "$said"
    done
done
