//! The longest chain of a block and the slots of its longest warp, on kernels short enough to count by
//! hand: 600 cycles from global memory, 30 from shared memory, other lanes and over a barrier, 4 for each
//! slot of arithmetic.

mod common;

use common::*;

/// Slots of the longest warp and cycles of the longest chain of one block that runs `body`.
fn longest(body: &str, threads: u32) -> (u64, u64) {
    let source = ptx(
        ".param .u64 out",
        &format!("ld.param.u64 %rd0, [out]; mov.u32 %r9, %tid.x;\n{body}\nret;"),
    );
    let mut gpu = Gpu::new();
    let out = gpu.upload(&[1.0f32; 1024]);
    let module = gpu.module(&source).unwrap();
    gpu.launch(&module, "k", [1, 1, 1], [threads, 1, 1], 0, &[out.into()])
        .unwrap();
    (gpu.stats.longest_warp, gpu.stats.longest_chain)
}

#[test]
fn sums_that_wait_for_one_another() {
    let load = "ld.global.f32 %f0, [%rd0];\n";
    let add = "add.f32 %f0, %f0, %f0;\n";
    let store = "st.global.f32 [%rd0], %f0;";
    // The store begins when the third sum is there; `ret` has a slot.
    let body = format!("{load}{}{store}", add.repeat(3));
    assert_eq!(longest(&body, 1), (6, 600 + 3 * 4));
    // Sums beside each other cost slots only.
    let body = format!("{load}add.f32 %f1, %f0, %f0; add.f32 %f2, %f0, %f0;\n{add}{store}");
    assert_eq!(longest(&body, 1), (6, 600 + 4));
    // A move is another name; a division is ten slots.
    let body = format!("{load}mov.f32 %f1, %f0; div.rn.f32 %f0, %f1, %f1;\n{store}");
    assert_eq!(longest(&body, 1), (13, 600 + 40));
}

#[test]
fn a_branch_waits_for_its_predicate_and_a_barrier_for_all() {
    // What follows a branch begins when that is decided.
    let body = "ld.global.u32 %r0, [%rd0]; setp.eq.u32 %p0, %r0, 0; @%p0 bra END;\n\
                st.global.u32 [%rd0], %r9;\nEND:";
    assert_eq!(longest(body, 1), (5, 600 + 4 + 4));
    // The second warp does not load, but waits at the barrier for the first.
    let address = "mul.wide.u32 %rd1, %r9, 4; add.s64 %rd1, %rd0, %rd1;";
    let body = format!(
        "{address} setp.gt.u32 %p0, %r9, 31; @%p0 bra WAIT;\n\
         ld.global.u32 %r0, [%rd1]; add.u32 %r0, %r0, 1; st.global.u32 [%rd1], %r0;\n\
         WAIT: bar.sync 0;\n{address} @%p0 st.global.u32 [%rd1], %r9;"
    );
    let before = 4 + 8 + 600 + 4; // the address, the load, the sum; then the store begins
    let after = 30 + 4 + 8; // the barrier, the address again; then the second warp's store begins
    assert_eq!(longest(&body, 64), (9 + 5, before + after));
}
