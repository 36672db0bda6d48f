#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| spikegrad_fuzz::run(
    spikegrad_fuzz::targets::mapping,
    bytes
));
