//! What is said of a driver's answers, in child processes: under the software driver, and under libraries
//! made here that have some of a driver's functions.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{faults::*, *};

/// Every code of `cuda.h` but success; `.ci/cuda-signatures` compares.
#[rustfmt::skip]
const CODES: [u32; 99] = [
    1, 2, 3, 4, 5, 6, 7, 8, 34, 46,
    100, 101, 102, 200, 201, 202, 205, 206, 207, 208, 209, 210, 211, 212, 213, 214, 215, 216, 217, 218, 219,
    220, 221, 222, 223, 224, 225, 226,
    300, 301, 302, 303, 304, 400, 401, 402, 500, 600,
    700, 701, 702, 703, 704, 705, 708, 709, 710, 711, 712, 713, 714, 715, 716, 717, 718, 719, 720, 721,
    800, 801, 802, 803, 804, 805, 806, 807, 808, 809, 810, 811, 812,
    900, 901, 902, 903, 904, 905, 906, 907, 908, 909, 910, 911, 912, 913, 914, 915, 916, 999,
];

/// Those about what the engine does not use, which have the driver's own words.
const UNUSED: [u32; 28] = [
    202, 205, 206, 207, 208, 210, 211, 212, 213, 215, 217, 219, 225, 402, 703, 704, 705, 711, 712,
    713, 720, 721, 811, 812, 910, 912, 914, 915,
];

/// Those that have their words together.
const FAMILIES: [&[u32]; 3] = [
    &[5, 6, 7, 8],
    &[900, 906],
    &[901, 902, 903, 904, 905, 907, 908],
];

/// What the child process says when the function fails with the code.
fn answered(function: &str, code: u32) -> String {
    let settings = [("FAIL_CALL", function), ("FAIL_CODE", &code.to_string())];
    refusal(&run_child_as("answers::open", &settings))
}

fn refusal(output: &str) -> String {
    ending(output, "device cuda:")
        .unwrap_or_else(|| panic!("no refusal: {output}"))
        .to_owned()
}

/// What a child process does: opens a device and prints what comes of it.
#[test]
fn open() {
    if !is_child() {
        return;
    }
    let index = std::env::var("SPIKEGRAD_CUDA_TEST_INDEX");
    let index = index.map_or(0, |index| index.parse().unwrap());
    match CudaEngine::new(index, network(), objective(), Adam::new(1e-3)) {
        Ok(engine) => println!("opened: {}", engine.describe()),
        Err(error) => println!("{error}"),
    }
}

/// Each code has words of its own, with what would help after a semicolon.
#[test]
fn every_answer_has_words() {
    if !software_driver() {
        return;
    }
    let mut seen = BTreeMap::new();
    for code in CODES {
        let message = answered("cuInit", code);
        let words = message
            .strip_prefix("device cuda:0 cannot be used: the driver does not start: ")
            .and_then(|words| words.strip_suffix(&format!(" (CUDA error {code})")))
            .unwrap_or_else(|| panic!("{code}: {message}"));
        let known =
            !words.contains("spikegrad does not know") && !words.contains("the driver says");
        assert_eq!(known, !UNUSED.contains(&code), "{message}");
        let (meaning, help) = words.split_once("; ").unwrap_or_default();
        assert!(meaning.len() > 10 && help.len() > 8, "{message}");
        seen.entry(words.to_owned())
            .or_insert_with(BTreeSet::new)
            .insert(code);
    }
    for (words, codes) in seen {
        let codes: Vec<u32> = codes.into_iter().collect();
        let together = codes.len() == 1
            || FAMILIES.contains(&&*codes)
            || codes.iter().all(|code| UNUSED.contains(code));
        assert!(together, "{codes:?}: {words}");
    }
}

/// Words that a reader of the message acts upon.
#[test]
fn answers_say_what_to_do() {
    if !software_driver() {
        return;
    }
    for (code, words) in [
        (34, "libsoftcuda.so is the stub library of the CUDA toolkit"),
        (46, "another process has it for itself"),
        (46, "nvidia-smi -c DEFAULT"),
        (100, "there is no CUDA device; look whether `nvidia-smi -L`"),
        (101, "MIG"),
        (214, "ECC"),
        (304, "/dev/nvidia*"),
        (500, "does not find a kernel"),
        (
            720,
            "the driver says: too many blocks in cooperative launch",
        ),
        (802, "nvidia-fabricmanager"),
        (803, "are of different versions; reboot"),
        (804, "cuda-compat"),
        (999, "nvidia_uvm"),
        (1234, "spikegrad does not know"),
    ] {
        let message = answered("cuInit", code);
        assert!(message.contains(words), "{code}: {message}");
    }
    // The same code has another cause where the device is open already.
    assert!(!answered("cuStreamCreateWithPriority", 999).contains("nvidia_uvm"));
}

/// Whichever call of opening a device fails, place, words and number are there.
#[test]
fn every_call_of_opening_says_what_failed() {
    if !software_driver() {
        return;
    }
    for (function, what) in [
        ("cuInit", "the driver does not start"),
        ("cuDriverGetVersion", "the driver has no version"),
        ("cuDeviceGetCount", "the driver names no devices"),
        ("cuDeviceGet", "the device does not open"),
        (
            "cuDeviceGetAttribute",
            "the device does not say what it can do",
        ),
        ("cuDeviceGetName", "the device has no name"),
        ("cuDevicePrimaryCtxRetain", "the device makes no context"),
        ("cuCtxPushCurrent_v2", "the context does not begin"),
        ("cuStreamCreateWithPriority", "no stream"),
        (
            "cuModuleLoadDataEx",
            "the driver does not accept the kernels",
        ),
        ("cuMemAlloc_v2", "no room for "),
    ] {
        for (code, words) in [
            (2, "out of device memory"),
            (46, "the device is unavailable"),
            (802, "the system is not ready"),
            (999, "the driver gives no reason"),
        ] {
            let message = answered(function, code);
            assert!(
                message.contains(what)
                    && message.contains(words)
                    && message.ends_with(&format!("(CUDA error {code})")),
                "{function}: {message}"
            );
        }
    }
}

#[test]
fn devices_are_counted_in_words() {
    if !software_driver() {
        return;
    }
    for (devices, words) in [
        ("1", "there is one CUDA device, cuda:0"),
        ("2", "there are 2 CUDA devices, cuda:0 to cuda:1"),
    ] {
        let environment = [
            ("SPIKEGRAD_CUDA_TEST_INDEX", "2"),
            ("SOFTCUDA_DEVICES", devices),
        ];
        let message = refusal(&run_child_with("answers::open", &environment));
        assert!(message.ends_with(words), "{message}");
    }
    let environment = [("CUDA_VISIBLE_DEVICES", "-1"), ("SOFTCUDA_DEVICES", "0")];
    let message = refusal(&run_child_with("answers::open", &environment));
    assert!(
        message.contains("CUDA_VISIBLE_DEVICES=-1 hides it"),
        "{message}"
    );
    assert!(!message.contains("counted from 0"), "{message}");
}

/// What opening a device calls, with bodies in C; whether it cannot do without it.
#[cfg(target_os = "linux")]
const FUNCTIONS: [(&str, &str, bool); 14] = [
    ("cuInit", "(unsigned f) { return 0; }", true),
    (
        "cuDriverGetVersion",
        "(int *v) { *v = 12090; return 0; }",
        true,
    ),
    ("cuDeviceGetCount", "(int *n) { *n = 1; return 0; }", true),
    ("cuDeviceGet", "(int *d, int i) { *d = i; return 0; }", true),
    (
        "cuDeviceGetAttribute",
        "(int *v, int a, int d) { *v = 9; return 0; }",
        true,
    ),
    (
        "cuDeviceGetName",
        "(char *n, int l, int d) { *n = 0; return 0; }",
        true,
    ),
    ("cuCtxGetCurrent", "(void **c) { *c = 0; return 0; }", false),
    (
        "cuDevicePrimaryCtxRetain",
        "(void **c, int d) { *c = c; return 0; }",
        true,
    ),
    ("cuCtxSetCurrent", "(void *c) { return 0; }", false),
    ("cuCtxPushCurrent_v2", "(void *c) { return 0; }", true),
    (
        "cuCtxPopCurrent_v2",
        "(void **c) { *c = 0; return 0; }",
        false,
    ),
    (
        "cuStreamCreateWithPriority",
        "(void **s, unsigned f, int p) { *s = s; return 0; }",
        true,
    ),
    (
        "cuModuleLoadDataEx",
        "(void **m, const void *i) { *m = m; return 0; }",
        true,
    ),
    (
        "cuMemAlloc_v2",
        "(unsigned long long *a, unsigned long n) { return 2; }",
        true,
    ),
];

/// A library that has these functions alone.
#[cfg(target_os = "linux")]
fn library(file: &Path, functions: &[(&str, &str, bool)]) {
    let source = file.with_extension("c");
    let lines = functions
        .iter()
        .map(|(name, body, _)| format!("int {name}{body}\n"));
    std::fs::write(&source, lines.collect::<String>()).unwrap();
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-o"])
        .args([file, &source]);
    assert!(compiler.status().unwrap().success());
}

/// A library without one of the functions, be it too old or no driver at all, is named, and so is the
/// function.
#[cfg(target_os = "linux")]
#[test]
fn a_function_that_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("driver.so");
    let path = file.to_str().unwrap();
    let opened = || {
        refusal(&run_child_with(
            "answers::open",
            &[("SPIKEGRAD_CUDA_DRIVER", path)],
        ))
    };
    library(&file, &FUNCTIONS);
    assert!(opened().contains("out of device memory"), "{}", opened());
    for (k, (name, _, needed)) in FUNCTIONS.iter().enumerate() {
        let mut functions = FUNCTIONS.to_vec();
        functions.remove(k);
        library(&file, &functions);
        let message = opened();
        let named =
            format!("{path} has no function {name}, so it is no CUDA driver, or too old a one");
        assert_eq!(message.contains(&named), *needed, "{message}");
        let end = if *needed {
            "(CUDA error 500)"
        } else {
            "(CUDA error 2)"
        };
        assert!(message.ends_with(end), "{message}");
    }
}

/// The toolkit's stub is found by the system where its folder is in the path of libraries: the file is named.
#[cfg(target_os = "linux")]
#[test]
fn the_toolkits_stub_is_named_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let stubs = folder
        .path()
        .canonicalize()
        .unwrap()
        .join("a toolkit's stubs");
    std::fs::create_dir(&stubs).unwrap();
    let file = stubs.join("libcuda.so.1");
    library(&file, &[("cuInit", "(unsigned f) { return 34; }", true)]);
    let environment = [
        ("SPIKEGRAD_CUDA_DRIVER", ""),
        ("LD_LIBRARY_PATH", stubs.to_str().unwrap()),
    ];
    let message = refusal(&run_child_with("answers::open", &environment));
    let words = format!(
        "the driver does not start: {} is the stub library of the CUDA toolkit",
        file.display()
    );
    assert!(message.contains(&words), "{message}");
}
