//! Kernels that clang compiled from CUDA C (`tests/data/*.cu`), against the same work done here.

mod common;

use common::*;

const SGEMM: &str = include_str!("data/sgemm.ptx");
const KERNELS: &str = include_str!("data/kernels.ptx");

fn sgemm(m: usize, n: usize, k: usize) -> (Vec<f32>, Vec<f32>, Gpu) {
    let (a, b) = (noise(m * k, 1), noise(k * n, 2));
    let mut gpu = Gpu::new();
    let module = gpu.module(SGEMM).unwrap();
    let (da, db, dc) = (
        gpu.upload(&a),
        gpu.upload(&b),
        gpu.alloc(4 * (m * n) as u64),
    );
    let grid = [n.div_ceil(64) as u32, m.div_ceil(64) as u32, 1];
    let sizes = [m as u32, n as u32, k as u32];
    let args = [
        da.into(),
        db.into(),
        dc.into(),
        sizes[0].into(),
        sizes[1].into(),
        sizes[2].into(),
    ];
    gpu.launch(&module, "sgemm", grid, [256, 1, 1], 0, &args)
        .unwrap();
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

#[test]
fn a_reduction_by_shuffles() {
    let x = noise(1000, 3);
    let mut gpu = Gpu::new();
    let module = gpu.module(KERNELS).unwrap();
    let (dx, partial) = (gpu.upload(&x), gpu.alloc(12));
    let args = [dx.into(), partial.into(), 1000u32.into()];
    gpu.launch(&module, "reduce", [3, 1, 1], [128, 1, 1], 16, &args)
        .unwrap();
    // The same order of additions: strided sums of the threads, a tree of 32, then warp by warp.
    let mut expected = vec![0.0f32; 3];
    for (block, total) in expected.iter_mut().enumerate() {
        for warp in 0..4 {
            let mut lanes = [0.0f32; 32];
            for (lane, sum) in lanes.iter_mut().enumerate() {
                *sum = x[128 * block + 32 * warp + lane..]
                    .iter()
                    .step_by(3 * 128)
                    .fold(0.0, |s, x| s + x);
            }
            for offset in [16, 8, 4, 2, 1] {
                for lane in 0..32 - offset {
                    lanes[lane] += lanes[lane + offset];
                }
            }
            *total += lanes[0];
        }
    }
    assert_eq!(gpu.f32s(partial, 3), expected);
    assert!(expected.iter().all(|sum| sum.abs() > 0.1));
}

#[test]
fn a_division_for_each_element() {
    let x = noise(1000, 4);
    let mut gpu = Gpu::new();
    let module = gpu.module(KERNELS).unwrap();
    let (dx, dy) = (gpu.upload(&x), gpu.alloc(4000));
    let args = [dx.into(), dy.into(), 1000u32.into()];
    gpu.launch(&module, "squash", [4, 1, 1], [256, 1, 1], 0, &args)
        .unwrap();
    let expected: Vec<f32> = x
        .iter()
        .enumerate()
        .map(|(i, x)| x / (1.0 + x.abs()) * (i % 4 + 1) as f32)
        .collect();
    assert_eq!(gpu.f32s(dy, 1000), expected);
    // The module's variable began at 7.
    assert_eq!(gpu.u32s(module.variables["visits"].address, 1), [1007]);
}

#[test]
fn a_leaky_integrator_and_a_called_function() {
    const STEPS: usize = 25;
    const N: usize = 100;
    let input: Vec<f32> = noise(STEPS * N, 5).iter().map(|x| x + 0.3).collect();
    let mut gpu = Gpu::new();
    let module = gpu.module(KERNELS).unwrap();
    let dx = gpu.upload(&input);
    let out = [
        gpu.alloc(4 * N as u64),
        gpu.alloc(4 * N as u64),
        gpu.alloc(4 * N as u64),
    ];
    let (beta, threshold) = (0.9f32, 1.0f32);
    let args = [
        dx.into(),
        out[0].into(),
        out[1].into(),
        out[2].into(),
        beta.into(),
        threshold.into(),
        (STEPS as u32).into(),
        (N as u32).into(),
    ];
    gpu.launch(&module, "leaky", [2, 1, 1], [64, 1, 1], 0, &args)
        .unwrap();
    let (mut words, mut us, mut series) = (vec![0u32; N], vec![0.0f32; N], vec![0.0f32; N]);
    for i in 0..N {
        for t in 0..STEPS {
            us[i] = beta.mul_add(us[i], input[t * N + i]);
            if us[i] > threshold {
                words[i] |= 1 << t;
                us[i] -= threshold;
            }
        }
        let x = input[i];
        let (mut sum, mut term) = (1.0f32, 1.0f32);
        for k in 1..4 + i % 9 {
            term = term * x / k as f32;
            sum += term;
        }
        series[i] = sum;
    }
    let spikes: u32 = words.iter().map(|word| word.count_ones()).sum();
    assert!(spikes > 100, "the case must spike: {spikes}");
    assert_eq!(gpu.u32s(out[0], N), words);
    assert_eq!(gpu.f32s(out[1], N), us);
    assert_eq!(gpu.f32s(out[2], N), series);
    assert!(gpu.stats.divergent_branches > 0);
}

#[test]
fn local_memory_switches_bytes_and_ballots() {
    const N: usize = 64;
    let v = noise(4 * N, 6);
    let code: Vec<u8> = (0..N).map(|i| (i * 7 % 9) as u8).collect();
    let mut gpu = Gpu::new();
    let module = gpu.module(KERNELS).unwrap();
    let (dv, dcode) = (gpu.upload(&v), gpu.upload(&code));
    let (words, longs, ballots) = (
        gpu.alloc(4 * N as u64),
        gpu.alloc(8 * N as u64),
        gpu.alloc(8),
    );
    let args = [
        dv.into(),
        dcode.into(),
        words.into(),
        longs.into(),
        ballots.into(),
        (N as u32).into(),
    ];
    gpu.launch(&module, "mixed", [1, 1, 1], [64, 1, 1], 0, &args)
        .unwrap();
    let mut expected = (vec![0u32; N], vec![0u64; N], vec![0u32; 2]);
    for i in 0..N {
        let q = &v[4 * i..4 * i + 4];
        let mut local: Vec<f32> = (0..8).map(|k| q[0].mul_add(k as f32, q[1])).collect();
        local[i & 7] += q[2];
        let w = (local[(i * 5) & 7] * 1000.0) as i32 as u32;
        let w = match code[i] {
            0 => w.wrapping_add(3),
            1 => w ^ 7,
            2 => w.wrapping_mul(5),
            3 => w / 7,
            4 => w % 9,
            5 => w << 5,
            _ => w.rotate_left(7),
        };
        expected.0[i] = w;
        expected.1[i] = (u64::from(w) * u64::from(w)) / 1_000_003
            + u64::from(w.count_ones() + (w | 1).leading_zeros());
        expected.2[i / 32] |= u32::from(q[3] > 0.0) << (i % 32);
    }
    assert_eq!(gpu.u32s(words, N), expected.0);
    assert_eq!(gpu.u64s(longs, N), expected.1);
    assert_eq!(gpu.u32s(ballots, 2), expected.2);
}
