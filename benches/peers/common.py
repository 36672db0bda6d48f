"""What every Python worker shares: the data, the protocol, the clock.

A worker reads JSON lines from stdin and answers each with one on stdout:

    {"cmd": "setup", "work": {...}, "option": {...}}  ->  {"compile_s", "step_s", "best_s", "loss", "versions"}
    {"cmd": "run", "steps": k}                        ->  {"seconds": {phase: [k times]}, "losses": [k]}
    {"cmd": "quit"}                                   ->  {"peak_bytes"}

`work` names a folder with three files, which every worker reads alike, and nothing else:
`x.f32` [batches, B, N] or [batches, T, B, N], `y.i64` [batches, B], and `weights.f32`, the layers'
weight [out, in] and bias [out] one after another.
"""
import json, os, statistics, sys, time
from dataclasses import dataclass

import numpy as np

BETA, THRESHOLD, LEARNING_RATE = 0.95, 1.0, 5e-4


@dataclass
class Work:
    kind: str        # "train": forward, loss, backward, Adam; "inference"; "onm": forward and backward apart
    sequence: bool   # the input has a time axis
    sizes: list      # inputs, then the neurons of each layer
    num_steps: int
    batch: int
    batches: int
    threads: int
    dir: str

    def arrays(self):
        """x, y, [(weight, bias)]"""
        time_axis = [self.num_steps] if self.sequence else []
        read = lambda name, dtype: np.fromfile(os.path.join(self.dir, name), dtype)
        x = read("x.f32", np.float32).reshape(self.batches, *time_axis, self.batch, self.sizes[0])
        y = read("y.i64", np.int64).reshape(self.batches, self.batch)
        flat, at, layers = read("weights.f32", np.float32), 0, []
        for i, o in zip(self.sizes, self.sizes[1:]):
            layers.append((flat[at:at + i * o].reshape(o, i), flat[at + i * o:at + i * o + o]))
            at += i * o + o
        assert at == flat.size
        return x, y, layers


def peak_bytes():
    """The most memory held since `forget_peak`."""
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM:"))


def forget_peak():
    """Starts the count of `peak_bytes` anew: what a compiler took is not the training's."""
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")


def serve(build, versions):
    """`build(work, option)` gives a function of the batch's number that runs one step and returns
    its phases' times in seconds and its loss (for inference, the sum of the classes). The first call of it counts as compilation."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)                                       # whatever a library prints goes to stderr
    step, count = None, 0
    def run(steps):
        nonlocal count
        seconds, losses = {}, []
        for _ in range(steps):
            phases, loss = step(count)
            count += 1
            losses.append(float(loss))
            for name, value in phases.items(): seconds.setdefault(name, []).append(value)
        return seconds, losses
    for line in sys.stdin:
        request = json.loads(line)
        if request["cmd"] == "setup":
            work = Work(**request["work"])
            step = build(work, request.get("option", {}))
            begin = time.perf_counter()
            _, (loss,) = run(1)
            first = time.perf_counter() - begin
            run(1)
            times, begin = [], time.perf_counter()
            while len(times) < 3 or len(times) < 20 and time.perf_counter() - begin < 0.5:
                times.append(sum(phase[0] for phase in run(1)[0].values()))
            per_step = statistics.median(times)
            forget_peak()
            answer = {"compile_s": max(0.0, first - per_step), "step_s": per_step, "best_s": min(times), "loss": loss, "versions": versions()}
        elif request["cmd"] == "run":
            run(1)                                      # this process has been asleep; its caches are cold
            seconds, losses = run(request["steps"])
            answer = {"seconds": seconds, "losses": losses}
        else:
            answer = {"peak_bytes": peak_bytes()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        if request["cmd"] == "quit": return
