// Layers of this neuron, see any.cuh. A module of its own: only networks with such layers load it.
#include "any.cuh"

ANY_KERNELS(Leaky, leaky)
