#!/usr/bin/env bash
# Times spikegrad and its peers; see README.md beside this file. Arguments go to compare.py.
#
#   PEERS_VENV    a virtual environment with the peers; without it one is made in the target folder
#   PEERS_CANDLE  1 builds and times candle too (four minutes on two cores that others use too, once)
#   PYTHON        the interpreter that makes the environment (python3)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
target=${CARGO_TARGET_DIR:-target}

if [[ -z "${PEERS_VENV:-}" ]]; then
    PEERS_VENV=$target/peers-venv
    if ! cmp -s "$here/requirements.txt" "$PEERS_VENV/installed.txt"; then
        "${PYTHON:-python3}" -m venv "$PEERS_VENV"
        "$PEERS_VENV/bin/pip" install --quiet -r "$here/requirements.txt"
        cp "$here/requirements.txt" "$PEERS_VENV/installed.txt"
    fi
fi
python=$PEERS_VENV/bin/python
"$PEERS_VENV/bin/pip" install --quiet --no-deps --force-reinstall ./python

cargo build --release --bench peers_worker
PEERS_OURS=$(cargo build --release --bench peers_worker --message-format=json 2>/dev/null |
    "$python" -c 'import json, sys
lines = [json.loads(line) for line in sys.stdin]
print(next(l["executable"] for l in lines if l.get("executable") and l["target"]["name"] == "peers_worker"))')
export PEERS_OURS

if [[ "${PEERS_CANDLE:-0}" == 1 ]]; then
    # For this machine, as candle's own README has it: its kernels are chosen at compile time.
    RUSTFLAGS="-C target-cpu=native" cargo build --release --locked --manifest-path "$here/candle/Cargo.toml" --target-dir "$target/peers-candle"
    PEERS_CANDLE=$target/peers-candle/release/spikegrad-peer-candle
else
    PEERS_CANDLE=
fi
export PEERS_CANDLE

exec "$python" "$here/compare.py" "$@"
