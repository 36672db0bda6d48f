//! Tells the library how far it is optimized, for `Engine::describe` and for what takes too much of the
//! stack where nothing is: a crate cannot see it otherwise.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(optimized)");
    let level = std::env::var("OPT_LEVEL").unwrap_or_default();
    println!("cargo::rustc-env=SPIKEGRAD_OPT_LEVEL={level}");
    if level != "0" {
        println!("cargo::rustc-cfg=optimized");
    }
}
