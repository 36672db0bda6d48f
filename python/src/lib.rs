//! The extension module of the Python package `spikegrad`: the library's engines, with arrays of numpy.

mod arrays;
mod config;
mod data;
mod engine;
mod errors;
mod fit;
mod fork;
mod gradcheck;
mod history;
mod network;
mod plot;
mod predictor;
mod rates;
mod run;
mod shared;
mod state;

use pyo3::prelude::*;

/// What the package `spikegrad` is made of.
#[pymodule]
mod _spikegrad {
    #[pymodule_export]
    use super::config::{_fluctuation_driven, decay, schedule_rate};
    #[pymodule_export]
    use super::engine::{_restore_engine, Engine};
    #[pymodule_export]
    use super::fork::_forked;
    #[pymodule_export]
    use super::gradcheck::gradcheck;
    #[pymodule_export]
    use super::network::{_restore_network, _save_network, Network, load};
    #[pymodule_export]
    use super::plot::{
        _load_mnist, _plot_accuracy, _plot_gradients, _plot_learning_rate, _plot_loss,
        _plot_raster, _plot_signals, _plot_traces,
    };
    #[pymodule_export]
    use super::predictor::{_restore_predictor, Predictor};
    #[pymodule_export]
    use super::rates::firing_rates;
    #[pymodule_export]
    use super::state::{_restore_state, State};

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        use pyo3::types::PyModuleMethods;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
