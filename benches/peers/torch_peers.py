"""The peers on PyTorch. usage: torch_peers.py PEER

The neuron of the tutorial stands here in full; the libraries' own neurons are called, not copied.
"""
import importlib.metadata, sys, time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from common import BETA, LEARNING_RATE, THRESHOLD, serve


class LeakySurrogate(nn.Module):
    """The class of snnTorch's tutorial 5, section 1.3."""
    def __init__(self, beta, threshold=1.0):
        super().__init__()
        self.beta, self.threshold = beta, threshold
        self.spike_gradient = self.ATan.apply

    def forward(self, input_, mem):
        spk = self.spike_gradient(mem - self.threshold)
        reset = (self.beta * spk * self.threshold).detach()
        mem = self.beta * mem + input_ - reset
        return spk, mem

    class ATan(torch.autograd.Function):
        @staticmethod
        def forward(ctx, mem):
            ctx.save_for_backward(mem)
            return (mem > 0).float()

        @staticmethod
        def backward(ctx, grad_output):
            (mem,) = ctx.saved_tensors
            return 1 / (1 + (np.pi * mem).pow_(2)) * grad_output


def tutorial_cells(layers):
    return [LeakySurrogate(BETA, THRESHOLD) for _ in layers]


def snntorch_cells(layers):
    import snntorch as snn
    from snntorch import surrogate
    return [snn.Leaky(beta=BETA, threshold=THRESHOLD, spike_grad=surrogate.atan(alpha=2.0)) for _ in layers]


def norse_cells(layers):
    """A box neuron with soft reset. Norse has no arctan: its default, SuperSpike, takes its place."""
    import norse.torch as norse
    from norse.torch.functional.lif_box import LIFBoxFeedForwardState, LIFBoxParameters
    from norse.torch.functional.reset import reset_subtract
    dt = 0.001
    parameters = LIFBoxParameters(tau_mem_inv=torch.tensor((1 - BETA) / dt), v_th=torch.tensor(THRESHOLD), reset_method=reset_subtract)
    def cell(node):
        def step(cur, mem):
            spk, state = node(cur, LIFBoxFeedForwardState(v=mem))
            return spk, state.v
        return step
    return [cell(norse.LIFBoxCell(parameters, dt=dt)) for _ in layers]


def zeros(x, fc):
    return torch.zeros(x.shape[-2], fc.out_features)


def roll(fcs, cells, x, num_steps, hoist):
    """Step by step through all layers; spikes and membranes of the last, T of each."""
    mem = [zeros(x, fc) for fc in fcs]
    spikes, membranes = [], []
    first = fcs[0](x) if hoist else None
    for t in range(num_steps):
        h = x if x.dim() == 2 else x[t]
        for k, fc in enumerate(fcs):
            if k > 0 or not hoist: cur = fc(h)
            else: cur = first if first.dim() == 2 else first[t]
            h, mem[k] = cells[k](cur, mem[k])
        spikes.append(h)
        membranes.append(mem[-1])
    return spikes, membranes


def layer_by_layer(fcs, cells, x, num_steps):
    """Each layer through all steps before the next: one product for all of time."""
    h = x
    for fc, cell in zip(fcs, cells):
        cur, mem, spikes, membranes = fc(h), zeros(x, fc), [], []
        cur = cur.unbind(0) if cur.dim() == 3 else [cur] * num_steps
        for t in range(num_steps):
            spk, mem = cell(cur[t], mem)
            spikes.append(spk)
            membranes.append(mem)
        h = torch.stack(spikes)
    return h, membranes


def spikingjelly(fcs, num_steps):
    """Multi-step mode; a static input's product is taken once and spread over time, as a view."""
    from spikingjelly.activation_based import functional, neuron, surrogate
    nodes = [neuron.LIFNode(tau=1 / (1 - BETA), decay_input=False, v_threshold=THRESHOLD, v_reset=None, detach_reset=True,
                            surrogate_function=surrogate.ATan(alpha=2.0), step_mode="m", store_v_seq=k == len(fcs) - 1)
             for k in range(len(fcs))]
    def run(x):
        h = x
        for fc, node in zip(fcs, nodes):
            cur = fc(h)
            h = node(cur if cur.dim() == 3 else cur.expand(num_steps, *cur.shape))
        v = nodes[-1].v_seq
        for node in nodes: functional.reset_net(node)
        return h, v
    return run


def compiled(fcs, cells, num_steps):
    """`torch.compile` over as many steps as a graph takes in reasonable time, called until time is up."""
    chunk = next(c for c in (25, 20, 10, 5, 1) if num_steps % c == 0)
    def some_steps(first, *mem):
        mem, spikes, membranes = list(mem), [], []
        for t in range(chunk):
            cur = first if first.dim() == 2 else first[t]
            h, mem[0] = cells[0](cur, mem[0])
            for k in range(1, len(fcs)): h, mem[k] = cells[k](fcs[k](h), mem[k])
            spikes.append(h)
            membranes.append(mem[-1])
        return torch.stack(spikes), torch.stack(membranes), *mem
    whole = torch.compile(lambda x, *mem: some_steps(fcs[0](x), *mem)) if chunk == num_steps else None
    part = torch.compile(some_steps)
    def run(x):
        mem = [zeros(x, fc) for fc in fcs]
        if whole is not None:
            spikes, membranes, *_ = whole(x, *mem)
            return spikes, membranes
        if torch.is_grad_enabled(): mem = [m.requires_grad_() for m in mem]     # as from the second part on: one graph for all
        first, spikes, membranes = fcs[0](x), [], []
        for t in range(0, num_steps, chunk):
            s, m, *mem = part(first if first.dim() == 2 else first[t:t + chunk], *mem)
            spikes.append(s)
            membranes.append(m)
        return torch.cat(spikes), torch.cat(membranes)
    return run


CELLS = {"pytorch": tutorial_cells, "snntorch": snntorch_cells, "norse": norse_cells}


def build(work, option):
    peer = sys.argv[1]
    library, how = peer.split("_")[0], peer.split("_")[1:]
    torch.set_num_threads(work.threads)
    torch.set_num_interop_threads(1)
    x, y, layers = work.arrays()
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    # Norse multiplies its input by 1 − β: weights and learning rate larger by 1/(1 − β) are the same network.
    scale = 1 / (1 - BETA) if library == "norse" else 1.0
    fcs = nn.ModuleList(nn.Linear(w.shape[1], w.shape[0]) for w, _ in layers)
    with torch.no_grad():
        for fc, (w, b) in zip(fcs, layers):
            fc.weight.copy_(torch.from_numpy(w) * scale)
            fc.bias.copy_(torch.from_numpy(b) * scale)
    if peer == "spikingjelly": run = spikingjelly(fcs, work.num_steps)
    else:
        cells = CELLS[library](layers)
        if how == ["compile"]: run = compiled(fcs, cells, work.num_steps)
        elif option.get("layer_by_layer"): run = lambda x: layer_by_layer(fcs, cells, x, work.num_steps)
        else: run = lambda x: roll(fcs, cells, x, work.num_steps, "hoisted" in how)

    def forward_backward(n):
        for fc in fcs: fc.weight.grad = fc.bias.grad = None
        begin = time.perf_counter()
        spikes, _ = run(x[n % work.batches])
        loss = (torch.stack(spikes) if isinstance(spikes, list) else spikes).sum()
        middle = time.perf_counter()
        loss.backward()
        return {"forward": middle - begin, "backward": time.perf_counter() - middle}, loss.item()

    def infer(n):
        begin = time.perf_counter()
        with torch.inference_mode():
            spikes, _ = run(x[n % work.batches])
            counts = sum(spikes) if isinstance(spikes, list) else spikes.sum(0)
            classes = counts.argmax(1).tolist()
        return {"step": time.perf_counter() - begin}, sum(classes)

    # The tutorial's own loop keeps its optimizer and its loss; the others get the faster ones.
    plain = peer in ("pytorch_tutorial", "snntorch", "norse")
    adam = torch.optim.Adam(fcs.parameters(), lr=LEARNING_RATE * scale, betas=(0.9, 0.999), fused=None if plain else True)
    cross_entropy = nn.CrossEntropyLoss()

    def train(n):
        data, targets = x[n % work.batches], y[n % work.batches]
        begin = time.perf_counter()
        _, membranes = run(data)
        if plain:
            mem_rec, loss = torch.stack(membranes), torch.zeros(1)
            for t in range(work.num_steps): loss += cross_entropy(mem_rec[t], targets)
        else:
            mem_rec = torch.stack(membranes) if isinstance(membranes, list) else membranes
            loss = F.cross_entropy(mem_rec.flatten(0, 1), targets.repeat(work.num_steps), reduction="sum") / work.batch
        adam.zero_grad()
        loss.backward()
        adam.step()
        value = loss.item()
        return {"step": time.perf_counter() - begin}, value

    return {"train": train, "inference": infer, "onm": forward_backward}[work.kind]


def versions():
    names = {"snntorch": ["snntorch"], "norse": ["norse"], "spikingjelly": ["spikingjelly"]}.get(sys.argv[1].split("_")[0], [])
    return {name: importlib.metadata.version(name) for name in ["torch", *names]}


if __name__ == "__main__":
    serve(build, versions)
