"""The peers on JAX. usage: jax_peers.py PEER

All share the hoisted first product, the loss and Adam; they differ in the neuron, and in who walks
through time.
"""
import importlib.metadata, sys, time

import jax
import jax.numpy as jnp

from common import BETA, LEARNING_RATE, THRESHOLD, serve


def arctan(x):
    return 1 / (1 + (jnp.pi * x) ** 2)


@jax.custom_vjp
def spike(x):
    return (x > 0).astype(x.dtype)


spike.defvjp(lambda x: (spike(x), x), lambda x, g: (g * arctan(x),))


def plain_cell(_neurons):
    """The tutorial's neuron."""
    def cell(cur, mem):
        spk = spike(mem - THRESHOLD)
        return spk, BETA * mem + cur - jax.lax.stop_gradient(BETA * THRESHOLD * spk)
    return cell


def spyx_cell(neurons):
    """Spyx's: its own order of events, reset attached; the decay is not trained."""
    from flax import nnx
    from spyx import axn, nn
    return nn.LIF((neurons,), beta=BETA, threshold=THRESHOLD, activation=axn.custom(arctan), rngs=nnx.Rngs(0))


def scanned(work, unroll, layers_apart, make_cell):
    cells = [make_cell(n) for n in work.sizes[1:]]
    start = [jnp.zeros((work.batch, n)) for n in work.sizes[1:]]
    scan = lambda f, init, xs: jax.lax.scan(f, init, xs, length=work.num_steps, unroll=min(unroll, work.num_steps))

    def step_by_step(params, x):
        first = x @ params[0][0] + params[0][1]
        def step(mem, cur):
            new = []
            for k, (cell, (w, b)) in enumerate(zip(cells, params)):
                cur = (first if cur is None else cur) if k == 0 else h @ w + b
                h, m = cell(cur, mem[k])
                new.append(m)
            return new, (h, new[-1])
        return scan(step, start, first if work.sequence else None)[1]

    def layer_by_layer(params, x):
        h = x
        for cell, (w, b), mem in zip(cells, params, start):
            cur = h @ w + b
            def step(mem, c):
                spk, mem = cell(cur if c is None else c, mem)
                return mem, (spk, mem)
            _, (h, membranes) = scan(step, mem, cur if cur.ndim == 3 else None)
        return h, membranes

    return layer_by_layer if layers_apart else step_by_step


def jaxpike_forward(work, unroll):
    """jaxpike walks through time itself; its neuron is of the order integrate, fire, reset (attached).
    It gives spikes only, so the last layer's hands out the membrane as well."""
    import equinox as eqx
    import jaxpike
    tau = -1 / jnp.log(BETA)

    class WithMembrane(jaxpike.LIF):
        def __call__(self, state, x):
            state, spk = super().__call__(state, x)
            return state, jnp.stack([spk, state.v])

    node = lambda k: (WithMembrane if k == len(work.sizes) - 2 else jaxpike.LIF)(tau=tau, threshold=THRESHOLD, surrogate=jaxpike.ATan(alpha=2.0))
    nodes = [node(k) for k in range(len(work.sizes) - 1)]
    dense = [jaxpike.Dense(i, o, key=jax.random.key(0)) for i, o in zip(work.sizes, work.sizes[1:])]

    def forward(params, x):
        layers = []
        for k, (w, b) in enumerate(params):
            if k > 0: layers.append(eqx.tree_at(lambda d: (d.weight, d.bias), dense[k], (w.T, b)))
            layers.append(nodes[k])
        first = x @ params[0][0] + params[0][1]
        if first.ndim == 2: first = jnp.broadcast_to(first, (work.num_steps, *first.shape))
        out, _ = jaxpike.unroll(jaxpike.Sequential(*layers), first, scan_unroll=unroll)
        return out[:, 0], out[:, 1]
    return forward


def build(work, option):
    peer, unroll = sys.argv[1], option.get("unroll", 1)
    x, y, layers = work.arrays()
    # jaxpike multiplies its input by 1 − β: weights and learning rate larger by 1/(1 − β) are the same network.
    scale = 1 / (1 - BETA) if peer == "jaxpike" else 1.0
    params = [(jnp.asarray(w.T * scale), jnp.asarray(b * scale)) for w, b in layers]
    x, y = [jnp.asarray(b) for b in x], [jnp.asarray(b) for b in y]
    if peer == "jaxpike": forward = jaxpike_forward(work, unroll)
    else: forward = scanned(work, unroll, option.get("layer_by_layer"), spyx_cell if peer == "spyx" else plain_cell)

    def loss_of(params, x, y):
        _, membranes = forward(params, x)
        logp = jax.nn.log_softmax(membranes)
        return -jnp.take_along_axis(logp, jnp.broadcast_to(y[None, :, None], (*logp.shape[:2], 1)), 2).sum() / work.batch

    def update(params, m, v, n, x, y):
        loss, g = jax.value_and_grad(loss_of)(params, x, y)
        n = n + 1
        c1, c2 = 1 - 0.9 ** n, 1 - 0.999 ** n
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        params = jax.tree.map(lambda p, m, v: p - LEARNING_RATE * scale / c1 * m / (jnp.sqrt(v / c2) + 1e-8), params, m, v)
        return params, m, v, n, loss

    zeros = lambda: jax.tree.map(jnp.zeros_like, params)
    state = [params, zeros(), zeros(), jnp.float32(0)]
    update = jax.jit(update, donate_argnums=(0, 1, 2, 3))

    def train(n):
        begin = time.perf_counter()
        *state[:], loss = update(*state, x[n % work.batches], y[n % work.batches])
        jax.block_until_ready((state, loss))
        return {"step": time.perf_counter() - begin}, loss

    classify = jax.jit(lambda params, x: forward(params, x)[0].sum(0).argmax(1))

    def infer(n):
        begin = time.perf_counter()
        classes = jax.block_until_ready(classify(params, x[n % work.batches]))
        return {"step": time.perf_counter() - begin}, classes.sum()

    down = jax.jit(lambda params, x: jax.vjp(lambda p: forward(p, x)[0].sum(), params))
    back = jax.jit(lambda pull: pull(jnp.float32(1))[0])

    def forward_backward(n):
        begin = time.perf_counter()
        loss, pull = jax.block_until_ready(down(params, x[n % work.batches]))
        middle = time.perf_counter()
        jax.block_until_ready(back(pull))
        return {"forward": middle - begin, "backward": time.perf_counter() - middle}, loss

    return {"train": train, "inference": infer, "onm": forward_backward}[work.kind]


def versions():
    names = {"spyx": ["spyx", "flax"], "jaxpike": ["jaxpike", "equinox"]}.get(sys.argv[1], [])
    return {name: importlib.metadata.version(name) for name in ["jax", "jaxlib", *names]}


if __name__ == "__main__":
    serve(build, versions)
