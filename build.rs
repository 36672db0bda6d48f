//! Tells the library how far it is optimized, for `Engine::describe`: a crate cannot see it otherwise.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let level = std::env::var("OPT_LEVEL").unwrap_or_default();
    println!("cargo::rustc-env=SPIKEGRAD_OPT_LEVEL={level}");
}
