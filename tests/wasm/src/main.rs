//! Prints the report that `run.mjs` prints from WebAssembly.

fn main() {
    print!("{}", spikegrad_wasm::report());
}
