"""spikegrad's own Python package, called as its user calls it. usage: wheel_peer.py ours_python"""
import time

import spikegrad as sg

from common import BETA, LEARNING_RATE, THRESHOLD, serve


def build(work, _option):
    x, y, layers = work.arrays()
    described = [sg.Leaky(n, beta=BETA, threshold=THRESHOLD) for n in work.sizes[1:]]
    state = {}
    for k, (weight, bias) in enumerate(layers, start=1):
        state |= {f"fc{k}.weight": weight, f"fc{k}.bias": bias}
    net = sg.Network(work.sizes[0], described).with_state_dict(state)
    engine = sg.Engine(net, sg.CrossEntropyMembrane(), sg.Adam(LEARNING_RATE), device="cpu")
    steps = None if work.sequence else work.num_steps

    def train(n):
        n %= work.batches
        begin = time.perf_counter()
        report = engine.train_step(x[n], y[n], steps)
        return {"step": time.perf_counter() - begin}, report.loss

    def infer(n):
        begin = time.perf_counter()
        classes = engine.classify(x[n % work.batches], steps, read_out="spike_count")
        return {"step": time.perf_counter() - begin}, int(classes.sum())

    return {"train": train, "inference": infer}[work.kind]


if __name__ == "__main__":
    serve(build, lambda: {"spikegrad": sg.__version__})
