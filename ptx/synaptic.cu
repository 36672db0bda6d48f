// Layers of current-based neurons, see layer.cuh, and a narrow output of them, see readout.cuh. A module of
// its own: only networks with such neurons load it.
#include "layer.cuh"
#include "readout.cuh"

#define SYNAPTIC_BLOCKS 4
#define SYNAPTIC_BLOCKS_NARROW 4

LAYER_FORWARD(SYNAPTIC, synaptic_forward_fti, FireThenIntegrate)
LAYER_FORWARD(SYNAPTIC, synaptic_forward_itf, IntegrateThenFire)
LAYER_FORWARD(SYNAPTIC, synaptic_forward_ifr, IntegrateFireReset)
LAYER_BACKWARD(SYNAPTIC, synaptic_backward_fti, FireThenIntegrate)
LAYER_BACKWARD_NARROW(SYNAPTIC, synaptic_backward_narrow_fti, FireThenIntegrate)
LAYER_BACKWARD(SYNAPTIC, synaptic_backward_itf, IntegrateThenFire)
LAYER_BACKWARD_NARROW(SYNAPTIC, synaptic_backward_narrow_itf, IntegrateThenFire)
LAYER_BACKWARD(SYNAPTIC, synaptic_backward_ifr, IntegrateFireReset)
LAYER_BACKWARD_NARROW(SYNAPTIC, synaptic_backward_narrow_ifr, IntegrateFireReset)
READOUT_NARROW(SYNAPTIC, synaptic_readout_narrow)
