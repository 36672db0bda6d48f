//! Kernels that clang compiled from CUDA C (`tests/data/*.cu`), against the same work done here.

mod common;

use common::*;
use softcuda::error::Rule;

const SGEMM: &str = include_str!("data/sgemm.ptx");
const KERNELS: &str = include_str!("data/kernels.ptx");

fn sgemm(m: usize, n: usize, k: usize) -> (Vec<f32>, Vec<f32>, Gpu) {
    let (a, b) = (noise(m * k, 1), noise(k * n, 2));
    let mut gpu = Gpu::new();
    let module = gpu.module(SGEMM).unwrap();
    let (da, db, dc) = (gpu.upload(&a), gpu.upload(&b), gpu.alloc(4 * (m * n) as u64));
    let grid = [n.div_ceil(64) as u32, m.div_ceil(64) as u32, 1];
    let sizes = [m as u32, n as u32, k as u32];
    let args = [da.into(), db.into(), dc.into(), sizes[0].into(), sizes[1].into(), sizes[2].into()];
    gpu.launch(&module, "sgemm", grid, [256, 1, 1], 0, &args).unwrap();
    let found = gpu.f32s(dc, m * n);
    let mut expected = vec![0.0f32; m * n];
    for r in 0..m {
        for p in 0..k {
            for q in 0..n {
                let c = &mut expected[r * n + q];
                *c = a[r * k + p].mul_add(b[p * n + q], *c);
            }
        }
    }
    (found, expected, gpu)
}

#[test]
fn a_tiled_matrix_product_has_the_same_bits() {
    for (m, n, k) in [(64, 64, 64), (65, 33, 17), (1, 1, 1), (130, 70, 100)] {
        let (found, expected, _) = sgemm(m, n, k);
        assert_eq!(found, expected, "{m} x {n} x {k}");
    }
}

#[test]
fn a_matrix_product_is_counted() {
    let start = std::time::Instant::now();
    let (found, expected, gpu) = sgemm(256, 256, 256);
    assert_eq!(found, expected);
    let stats = &gpu.stats;
    assert_eq!(stats.flops, 2 * 256 * 256 * 256);
    assert_eq!((stats.blocks, stats.threads), (16, 16 * 256));
    assert_eq!(stats.barriers, 16 * 2 * 16);
    // Each block reads 64 rows of A and 64 columns of B.
    assert_eq!(stats.global_bytes_read, 16 * 2 * 64 * 256 * 4);
    assert_eq!(stats.global_bytes_written, 256 * 256 * 4);
    println!(
        "256^3: {:?} in all, launch {:.1} ms, {:.0} M thread-instructions/s\n{}",
        start.elapsed(),
        stats.nanoseconds as f64 / 1e6,
        stats.thread_instructions as f64 * 1e3 / stats.nanoseconds as f64,
        stats.json()
    );
}
