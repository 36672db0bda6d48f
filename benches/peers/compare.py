"""Times spikegrad and its peers on the same work, in turns, and prints a Markdown table.

Each peer is a process of its own that stays alive; in every round each is woken once, in an order
drawn anew, and takes as many steps as fit into `--seconds`. The others are stopped (SIGSTOP)
meanwhile. README.md beside this file says what the peers are and what is fair about it.
"""
import argparse, ctypes, gzip, json, os, platform, random, signal, statistics, subprocess, sys, tempfile, time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
PRCTL = ctypes.CDLL(None).prctl
MNIST = HERE.parent.parent / "examples" / "data" / "mnist"

# Name, program, what is tried before the best is kept.
SCAN = [{"unroll": 1}, {"unroll": 5}, {"unroll": 25}, {"unroll": 25, "layer_by_layer": True}]
EITHER = [{}, {"layer_by_layer": True}]
PEERS = {
    "ours": ("ours", [{}]),
    "ours_python": ("wheel_peer.py", [{}]),
    "pytorch_tutorial": ("torch_peers.py", [{}]),
    "pytorch_hoisted": ("torch_peers.py", EITHER),
    "pytorch_compile": ("torch_peers.py", [{}]),
    "snntorch": ("torch_peers.py", [{}]),
    "snntorch_hoisted": ("torch_peers.py", EITHER),
    "norse": ("torch_peers.py", [{}]),
    "norse_hoisted": ("torch_peers.py", EITHER),
    "spikingjelly": ("torch_peers.py", [{}]),
    "jax": ("jax_peers.py", SCAN),
    "spyx": ("jax_peers.py", SCAN),
    "jaxpike": ("jax_peers.py", [{"unroll": 1}, {"unroll": 8}, {"unroll": 25}]),
    "candle": ("candle", [{}, {"each_step": True}]),
    "ours_fused_loss": ("ours", [{}]),
}
# The neuron of these is the tutorial's to the letter, so their first loss must be too.
SAME_NEURON = {"ours", "ours_python", "pytorch_tutorial", "pytorch_hoisted", "pytorch_compile", "jax", "candle"}

# kind, input has a time axis, sizes, batch, T unless told, batches of data
WORKLOADS = {
    "mnist": ("train", False, [784, 1000, 10], 128, 25, 32),
    "wide": ("train", False, [784, 1000, 1000, 1000, 10], 128, 25, 32),
    "dense": ("train", True, [784, 1000, 10], 128, 25, 3),
    "onm512": ("onm", True, [512, 512], 16, 500, 1),
    "onm2048": ("onm", True, [2048, 2048], 16, 500, 1),
    "onm4096": ("onm", True, [4096, 4096], 16, 500, 1),
    "inference": ("inference", False, [784, 1000, 10], 1, 25, 64),
}


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--workload", choices=WORKLOADS, default="mnist")
    p.add_argument("--steps", "-T", type=int, help="time steps T (25; 500 for onm*)")
    p.add_argument("--peers", default="", help="comma-separated; all but candle where it is not built. " + ", ".join(PEERS))
    p.add_argument("--rounds", type=int, default=15)
    p.add_argument("--seconds", type=float, default=1.0, help="what a peer may take in a round")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--warm-caches", action="store_true", help="let torch.compile use its cache; compile times are then not to be quoted")
    p.add_argument("--json", type=Path, help="writes every single time to this file")
    p.add_argument("--ours", default=os.environ.get("PEERS_OURS"), help="the worker's executable; compare.sh builds it")
    p.add_argument("--candle", default=os.environ.get("PEERS_CANDLE"), help="the same for candle")
    return p.parse_args()


def idx(name, offset):
    with gzip.open(MNIST / name) as f: return np.frombuffer(f.read(), np.uint8, offset=offset)


def write_data(folder, kind, sequence, sizes, batch, steps, batches):
    """The three files of common.py."""
    rng = np.random.default_rng(0)
    labels = idx("train-labels-idx1-ubyte.gz", 8)
    chosen = rng.permutation(len(labels))[:batches * batch]
    if sequence: x = rng.standard_normal((batches, steps, batch, sizes[0]), np.float32)
    else: x = idx("train-images-idx3-ubyte.gz", 16).reshape(-1, 784)[chosen].astype(np.float32) / np.float32(255)
    x.tofile(folder / "x.f32")
    labels[chosen].astype(np.int64).tofile(folder / "y.i64")
    gain = 4 if kind == "inference" else 1                       # untrained, the last layer would never fire
    with open(folder / "weights.f32", "wb") as f:                # as torch.nn.Linear begins
        for i, o in zip(sizes, sizes[1:]):
            for count in (i * o, o): rng.uniform(-gain * i ** -0.5, gain * i ** -0.5, count).astype(np.float32).tofile(f)


class Worker:
    def __init__(self, name, program, option, work, args, folder):
        self.name, self.option = name, option
        command = {"ours": [args.ours, "--serve", name], "candle": [args.candle]}.get(program) or [sys.executable, str(HERE / program), name]
        cores = sorted(os.sched_getaffinity(0))[:args.threads]
        def prepare():
            os.sched_setaffinity(0, cores)
            PRCTL(1, signal.SIGKILL)                             # PR_SET_PDEATHSIG: a stopped worker must not outlive this process
        n = str(args.threads)
        environment = os.environ | {k: n for k in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")}
        environment |= {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
        if not args.warm_caches: environment["TORCHINDUCTOR_CACHE_DIR"] = str(folder / f"inductor-{name}")
        self.log = open(folder / f"{name}.log", "ab")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment,
                                        start_new_session=True, preexec_fn=prepare)
        self.about = self.ask(cmd="setup", work=work, option=option)
        self.seconds, self.losses, self.medians = {}, [], []
        self.sleep()

    def ask(self, **request):
        """Wakes the worker, and waits for its answer."""
        os.killpg(self.process.pid, signal.SIGCONT)
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer: raise RuntimeError(f"{self.name} ended: {Path(self.log.name).read_text(errors='replace')[-2000:]}")
        return json.loads(answer)

    def sleep(self):
        os.killpg(self.process.pid, signal.SIGSTOP)

    def round(self, seconds):
        steps = min(500, max(3, round(seconds / self.about["step_s"])))
        answer = self.ask(cmd="run", steps=steps)
        self.sleep()
        for phase, times in answer["seconds"].items(): self.seconds.setdefault(phase, []).append(times)
        self.losses += answer["losses"]
        self.medians.append({phase: statistics.median(times) for phase, times in answer["seconds"].items()})

    def quit(self):
        try: peak = self.ask(cmd="quit")["peak_bytes"]
        finally: self.kill()
        return peak

    def kill(self):
        try: os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError: pass
        self.process.wait()


def start(name, work, args, folder):
    """The worker with the option that is fastest."""
    program, options = PEERS[name]
    best = None
    for option in options:
        worker = Worker(name, program, option, work, args, folder)
        print(f"  {name} {option or ''}: compiled in {worker.about['compile_s']:.1f} s, {1e3 * worker.about['step_s']:.3f} ms, at best {1e3 * worker.about['best_s']:.3f}", file=sys.stderr)
        # By the shortest step, which a busy machine disturbs least.
        if best is None or worker.about["best_s"] < best.about["best_s"]: best, worker = worker, best
        if worker is not None: worker.kill()
    return best


def check(workers, kind):
    """What a peer computes must be the same work: complaints."""
    wrong, anchor = [], next((w for w in workers if w.name.startswith("pytorch")), workers[0])
    expected = anchor.about["loss"]
    for w in workers:
        loss, same = w.about["loss"], {w.name, anchor.name} <= SAME_NEURON
        tolerance = 2e-3 if same else 0.3
        if kind == "inference" and not same: continue             # another neuron may see another digit
        if w.name != "ours_fused_loss" and not abs(loss - expected) <= tolerance * abs(expected):
            wrong.append(f"{w.name}: first loss {loss:.4f}, {anchor.name} has {expected:.4f} (allowed: {tolerance:.1%})")
        # The last round's losses, when every batch has been trained on.
        if kind == "train" and not statistics.mean(w.losses[-3:]) < 0.9 * loss:
            wrong.append(f"{w.name}: the loss went from {loss:.4f} to {w.losses[-3:]}: it does not learn")
    return wrong


def quantile(values, q):
    return float(np.quantile(values, q))


def table(workers, kind, peaks):
    """Medians over rounds of each round's median; the ratio is taken within rounds."""
    phases = ["forward", "backward"] if kind == "onm" else ["step"]
    ours = next((w for w in workers if w.name == "ours"), None)
    head = ["peer", *(f"{p}, ms" for p in phases), *(["both, ms"] if kind == "onm" else []), "p10–p90", "ratio to ours", "peak memory, MB", "compiling, s", "first class" if kind == "inference" else "first loss", "last", "setting"]
    rows = []
    for w in workers:
        total = [sum(m.values()) for m in w.medians]
        cells = [f"{1e3 * statistics.median(m[p] for m in w.medians):.3f}" for p in phases]
        if kind == "onm": cells.append(f"{1e3 * statistics.median(total):.3f}")
        cells.append(f"{1e3 * quantile(total, .1):.3f}–{1e3 * quantile(total, .9):.3f}")
        cells.append(f"{statistics.median(t / sum(m.values()) for t, m in zip(total, ours.medians)):.2f}" if ours else "")
        cells.append(f"{peaks[w.name] / 1e6:.0f}")
        cells.append(f"{w.about['compile_s']:.1f}" if w.name.split("_")[-1] in ("compile", "jax", "spyx", "jaxpike") else "–")
        cells.append(f"{w.about['loss']:.3f}")
        cells.append(f"{statistics.mean(w.losses[-3:]):.3f}" if kind == "train" else "–")
        cells.append(", ".join(f"{k} {v}" if v is not True else k.replace("_", " ") for k, v in w.option.items()))
        rows.append((statistics.median(total), [w.name, *cells]))
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" + "---:|" * (len(head) - 2) + "---|"]
    return "\n".join(lines + ["| " + " | ".join(cells) + " |" for _, cells in sorted(rows)])


def machine():
    with open("/proc/cpuinfo") as f: model = next((l.split(":")[1].strip() for l in f if l.startswith("model name")), platform.machine())
    with open("/proc/cpuinfo") as f: flags = next((l for l in f if l.startswith("flags")), "")
    return f"{model}{', AVX-512' if 'avx512f' in flags else ', AVX2' if 'avx2' in flags else ''}, {os.cpu_count()} CPUs"


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    kind, sequence, sizes, batch, steps, batches = WORKLOADS[args.workload]
    steps = args.steps or steps
    names = [n for n in args.peers.split(",") if n] or [n for n in PEERS if n != ("ours_python" if kind == "onm" else "ours_fused_loss")]
    unknown = [n for n in names if n not in PEERS]
    if unknown: sys.exit(f"unknown peers {', '.join(unknown)}; there are {', '.join(PEERS)}")
    if not args.candle and "candle" in names:
        if args.peers: sys.exit("candle is asked for and not built; run compare.sh with PEERS_CANDLE=1")
        names.remove("candle")
    if not args.ours and any(PEERS[n][0] == "ours" for n in names): sys.exit("--ours is needed; compare.sh builds it")
    workers, failed = [], []
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        folder = Path(folder)
        write_data(folder, kind, sequence, sizes, batch, steps, batches)
        work = dict(kind=kind, sequence=sequence, sizes=sizes, num_steps=steps, batch=batch, batches=batches, threads=args.threads, dir=str(folder))
        try:
            for name in names:
                try: workers.append(start(name, work, args, folder))
                except (RuntimeError, BrokenPipeError) as error: failed.append(str(error))
            order = random.Random(0)
            for n in range(args.rounds):
                for worker in order.sample(workers, len(workers)): worker.round(args.seconds)
                print(f"  round {n + 1} of {args.rounds}", file=sys.stderr)
            peaks = {w.name: w.quit() for w in workers}
        finally:
            for w in workers: w.kill()
    versions = {}
    for w in workers: versions |= w.about["versions"]
    print(f"`{args.workload}`: {'–'.join(map(str, sizes))}, batch {batch}, T = {steps}; {args.threads} threads, {args.rounds} rounds of {args.seconds:g} s each, "
          f"{time.strftime('%Y-%m-%d')}.\n{machine()}; {', '.join(f'{k} {v}' for k, v in versions.items())}, Python {platform.python_version()}.\n")
    print(table(workers, kind, peaks))
    if args.json:
        results = {w.name: dict(about=w.about, option=w.option, seconds=w.seconds, losses=w.losses, peak_bytes=peaks[w.name]) for w in workers}
        args.json.write_text(json.dumps(dict(work=work | {"dir": ""}, machine=machine(), results=results)))
    wrong = failed + check(workers, kind)
    for line in wrong: print(f"\nWRONG: {line}", file=sys.stderr)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
