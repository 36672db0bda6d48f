//! A kernel for every defect that must be caught. Each test names the rule, and the words that lead a
//! reader to the place.

mod common;

use common::*;
use softcuda::error::Rule;

/// `%rd0` is the buffer, `%r0` the thread, `%rd1` the address of the thread's own word.
fn with_buffer(body: &str) -> String {
    ptx(
        ".param .u64 out",
        &format!(
            "ld.param.u64 %rd0, [out]; mov.u32 %r0, %tid.x; mul.wide.u32 %rd1, %r0, 4; add.s64 %rd1, %rd0, %rd1;\n\
             {body}\nret;"
        ),
    )
}

#[test]
fn one_element_beyond_the_end() {
    let mut gpu = Gpu::new();
    let out = gpu.upload(&[0u32; 31]);
    let found = broken(
        &mut gpu,
        &with_buffer("st.global.u32 [%rd1], %r0;"),
        32,
        &[out.into()],
    );
    let words = [
        "kernel `k`",
        "thread (31,0,0)",
        "PTX line 13",
        "st.global.u32",
        "byte 124 of allocation 1, 124 bytes",
    ];
    assert_rule(&found, Rule::OutOfBounds, &words);
}

#[test]
fn one_byte_beyond_and_one_before() {
    let mut gpu = Gpu::new();
    let out = gpu.upload(&[0u8; 5]);
    let found = broken(
        &mut gpu,
        &with_buffer("ld.global.u8 %r1, [%rd0+5];"),
        1,
        &[out.into()],
    );
    assert_rule(
        &found,
        Rule::OutOfBounds,
        &["byte 5 of allocation 1, 5 bytes"],
    );
    let found = broken(
        &mut gpu,
        &with_buffer("ld.global.u8 %r1, [%rd0-1];"),
        1,
        &[out.into()],
    );
    assert_rule(&found, Rule::OutOfBounds, &["outside every allocation"]);
    // A word that only begins inside.
    let found = broken(
        &mut gpu,
        &with_buffer("ld.global.u32 %r1, [%rd0+4];"),
        1,
        &[out.into()],
    );
    assert_rule(&found, Rule::OutOfBounds, &["4 bytes at"]);
}

#[test]
fn null_and_wild_pointers() {
    let mut gpu = Gpu::new();
    let found = broken(
        &mut gpu,
        &with_buffer("st.global.u32 [%rd0], %r0;"),
        1,
        &[0u64.into()],
    );
    assert_rule(&found, Rule::OutOfBounds, &["0x0"]);
    let wild = (u64::MAX - 3).into();
    let found = broken(
        &mut gpu,
        &with_buffer("ld.global.u32 %r1, [%rd0];"),
        1,
        &[wild],
    );
    assert_rule(&found, Rule::OutOfBounds, &["0xfffffffffffffffc"]);
}

#[test]
fn use_after_free() {
    let mut gpu = Gpu::new();
    let out = gpu.upload(&[0u32; 32]);
    gpu.free(out);
    let found = broken(
        &mut gpu,
        &with_buffer("st.global.u32 [%rd1], %r0;"),
        32,
        &[out.into()],
    );
    assert_rule(
        &found,
        Rule::UseAfterFree,
        &["allocation 1", "freed by driver call 77"],
    );
}

#[test]
fn misaligned() {
    let mut gpu = Gpu::new();
    let out = gpu.upload(&[0u32; 32]);
    let found = broken(
        &mut gpu,
        &with_buffer("ld.global.u32 %r1, [%rd0+2];"),
        1,
        &[out.into()],
    );
    assert_rule(&found, Rule::Misaligned, &["not a multiple of 4"]);
    let found = broken(
        &mut gpu,
        &with_buffer("ld.global.v4.u32 {%r1,%r2,%r3,%r4}, [%rd0+8];"),
        1,
        &[out.into()],
    );
    assert_rule(&found, Rule::Misaligned, &["not a multiple of 16"]);
}

#[test]
fn the_wrong_space() {
    let mut gpu = Gpu::new();
    let out = gpu.upload(&[0u32; 32]);
    let found = broken(
        &mut gpu,
        &with_buffer("ld.shared.u32 %r1, [%rd0];"),
        1,
        &[out.into()],
    );
    assert_rule(&found, Rule::OutOfBounds, &["ld.shared"]);
    let found = broken(
        &mut gpu,
        &with_buffer("cvta.to.shared.u64 %rd2, %rd0;"),
        1,
        &[out.into()],
    );
    assert_rule(&found, Rule::AddressSpace, &["not an address of Shared"]);
    let found = broken(
        &mut gpu,
        &with_buffer("ld.const.u32 %r1, [%rd0];"),
        1,
        &[out.into()],
    );
    assert_rule(&found, Rule::AddressSpace, &["Global memory"]);
    let constant = with_buffer("mov.u64 %rd2, c; st.global.u32 [%rd2], %r0;")
        .replace(".visible", ".const .u32 c = 5;\n.visible");
    let found = broken(&mut gpu, &constant, 1, &[out.into()]);
    assert_rule(
        &found,
        Rule::AddressSpace,
        &["module variable `c`", "Const memory"],
    );
}

#[test]
fn memory_that_was_never_written() {
    let mut gpu = Gpu::new();
    let out = gpu.alloc(128);
    let found = broken(
        &mut gpu,
        &with_buffer("ld.global.u32 %r1, [%rd1];"),
        32,
        &[out.into()],
    );
    assert_rule(
        &found,
        Rule::UninitialisedMemory,
        &["never written", "allocation 1"],
    );
    let found = broken(
        &mut gpu,
        &with_buffer("atom.global.add.u32 %r1, [%rd0], 1;"),
        1,
        &[out.into()],
    );
    assert_rule(&found, Rule::UninitialisedMemory, &["never written"]);
    // Three of four bytes are written.
    let three = "st.global.u8 [%rd0], 1; st.global.u8 [%rd0+1], 1; st.global.u8 [%rd0+2], 1; ld.global.u32 %r1, [%rd0];";
    let found = broken(&mut gpu, &with_buffer(three), 1, &[out.into()]);
    assert_rule(&found, Rule::UninitialisedMemory, &["never written"]);
    let shared = ".shared .align 4 .b8 s[64]; ld.shared.u32 %r1, [s];";
    let found = broken(&mut gpu, &with_buffer(shared), 1, &[out.into()]);
    assert_rule(&found, Rule::UninitialisedMemory, &["shared `s`"]);
    let local = ".local .align 4 .b8 d[64]; ld.local.u32 %r1, [d+8];";
    let found = broken(&mut gpu, &with_buffer(local), 1, &[out.into()]);
    assert_rule(&found, Rule::UninitialisedMemory, &["local address"]);
}

#[test]
fn shared_memory_of_an_earlier_block_is_gone() {
    let mut gpu = Gpu::new();
    let body = ".shared .align 4 .b8 s[4]; mov.u32 %r1, %ctaid.x; setp.eq.u32 %p1, %r1, 0;\n\
        @%p1 st.shared.u32 [s], %r1; ld.shared.u32 %r2, [s];";
    let found = broken_with(
        &mut gpu,
        &with_buffer(body),
        [2, 1, 1],
        1,
        0,
        &[0u64.into()],
    );
    assert_rule(&found, Rule::UninitialisedMemory, &["block (1,0,0)"]);
}

#[test]
fn the_host_reads_what_was_never_written() {
    let mut gpu = Gpu::new();
    let out = gpu.alloc(128);
    assert!(gpu.memory.read(out, 128).is_err());
    gpu.memory.write(out, &[0; 127]).unwrap();
    let refused = gpu.memory.read(out, 128).unwrap_err();
    assert!(refused.0.contains("byte 127"), "{refused:?}");
    assert!(gpu.memory.read(out, 127).is_ok());
}

#[test]
fn registers_that_were_never_written() {
    let mut gpu = Gpu::new();
    let found = broken(
        &mut gpu,
        &with_buffer("add.u32 %r1, %r0, %r7;"),
        1,
        &[0u64.into()],
    );
    assert_rule(&found, Rule::UninitialisedRegister, &["%r7"]);
    // Written by half of the threads only.
    let half = "setp.lt.u32 %p1, %r0, 16; @%p1 mov.u32 %r2, 1; add.u32 %r1, %r0, %r2;";
    let found = broken(&mut gpu, &with_buffer(half), 32, &[0u64.into()]);
    assert_rule(
        &found,
        Rule::UninitialisedRegister,
        &["%r2", "thread (16,0,0)"],
    );
    // A move passes it on, and the use is what counts.
    let moved = "mov.u32 %r2, %r3; selp.u32 %r4, %r2, %r0, 1; add.u32 %r1, %r0, %r4;";
    let found = broken(&mut gpu, &with_buffer(moved), 1, &[0u64.into()]);
    assert_rule(&found, Rule::UninitialisedRegister, &["%r4", "add.u32"]);
    let guard = broken(
        &mut gpu,
        &with_buffer("@%p3 mov.u32 %r1, 1;"),
        1,
        &[0u64.into()],
    );
    assert_rule(&guard, Rule::UninitialisedRegister, &["%p3"]);
    // A shuffle from a lane that the block does not have.
    let shuffle = "shfl.sync.down.b32 %r1, %r0, 1, 31, -1; add.u32 %r2, %r1, 1;";
    let found = broken(&mut gpu, &with_buffer(shuffle), 5, &[0u64.into()]);
    assert_rule(
        &found,
        Rule::UninitialisedRegister,
        &["%r1", "thread (4,0,0)"],
    );
}

/// Each thread writes its word of shared memory and reads another's, with `between` in between.
fn exchange(between: &str, other: &str) -> String {
    with_buffer(&format!(
        ".shared .align 4 .b8 s[1024]; mov.u32 %r1, s; shl.b32 %r2, %r0, 2; add.u32 %r3, %r1, %r2;\n\
         st.shared.u32 [%r3], %r0;\n{between}\nxor.b32 %r4, %r2, {other}; add.u32 %r5, %r1, %r4;\n\
         ld.shared.u32 %r6, [%r5];"
    ))
}

#[test]
fn races_in_shared_memory() {
    let mut gpu = Gpu::new();
    let found = broken(&mut gpu, &exchange("", "4"), 32, &[0u64.into()]);
    assert_rule(
        &found,
        Rule::SharedRace,
        &["reads", "written by thread 1 of block 0", "shared `s`"],
    );
    // A synchronisation of the warp is enough within it, not beyond.
    let found = broken(
        &mut gpu,
        &exchange("bar.warp.sync -1;", "128"),
        64,
        &[0u64.into()],
    );
    // Warp 0 runs first, and reads what warp 1 has yet to write.
    assert_rule(&found, Rule::UninitialisedMemory, &["shared `s`"]);
    let module = gpu.module(&exchange("bar.warp.sync -1;", "4")).unwrap();
    gpu.launch(&module, "k", [1; 3], [64, 1, 1], 0, &[0u64.into()])
        .unwrap();
    let module = gpu.module(&exchange("bar.sync 0;", "128")).unwrap();
    gpu.launch(&module, "k", [1; 3], [64, 1, 1], 0, &[0u64.into()])
        .unwrap();
}

#[test]
fn a_missing_second_barrier() {
    // Write, barrier, read the other warp's word, and write one's own again without a barrier.
    let body = format!(
        "{} st.shared.u32 [%r3], %r6;",
        exchange("bar.sync 0;", "128")
            .replace("ret;", "")
            .replace("}\n", "")
    );
    let body = format!("{body} ret;\n}}\n");
    let mut gpu = Gpu::new();
    let found = broken(&mut gpu, &body, 64, &[0u64.into()]);
    assert_rule(&found, Rule::SharedRace, &["without a synchronisation"]);
}

#[test]
fn two_writers_of_one_word() {
    let mut gpu = Gpu::new();
    let shared = ".shared .align 4 .b8 s[4]; st.shared.u32 [s], %r0;";
    let found = broken(&mut gpu, &with_buffer(shared), 2, &[0u64.into()]);
    assert_rule(&found, Rule::SharedRace, &["writes", "written by thread 0"]);
    let out = gpu.upload(&[0u32; 4]);
    let found = broken(
        &mut gpu,
        &with_buffer("st.global.u32 [%rd0], %r0;"),
        2,
        &[out.into()],
    );
    assert_rule(&found, Rule::GlobalRace, &["writes", "written by thread 0"]);
    // Neighbouring bytes of one word are no race, an overlapping word is one.
    let bytes = "cvt.u64.u32 %rd2, %r0; add.s64 %rd3, %rd0, %rd2; st.global.u8 [%rd3], %r0;";
    let module = gpu.module(&with_buffer(bytes)).unwrap();
    gpu.launch(&module, "k", [1; 3], [16, 1, 1], 0, &[out.into()])
        .unwrap();
    let found = broken(
        &mut gpu,
        &with_buffer(&format!("{bytes} ld.global.u32 %r1, [%rd0];")),
        2,
        &[out.into()],
    );
    assert_rule(&found, Rule::GlobalRace, &["reads", "written by thread 1"]);
}

#[test]
fn blocks_that_exchange_through_global_memory() {
    let mut gpu = Gpu::new();
    let out = gpu.upload(&[0u32; 4]);
    let body = "mov.u32 %r1, %ctaid.x; setp.eq.u32 %p1, %r1, 0; @%p1 st.global.u32 [%rd0], %r1;\n\
        @!%p1 ld.global.u32 %r2, [%rd0];";
    let found = broken_with(&mut gpu, &with_buffer(body), [2, 1, 1], 1, 0, &[out.into()]);
    assert_rule(
        &found,
        Rule::GlobalRace,
        &["block (1,0,0)", "thread 0 of block 0"],
    );
    // The next launch is ordered after this one, and atomics do not race.
    let body = "atom.global.add.u32 %r1, [%rd0], 1;";
    let module = gpu.module(&with_buffer(body)).unwrap();
    gpu.launch(&module, "k", [5, 1, 1], [64, 1, 1], 0, &[out.into()])
        .unwrap();
    assert_eq!(gpu.u32s(out, 1), [320]);
    let found = broken_with(
        &mut gpu,
        &with_buffer(&format!("{body} ld.global.u32 %r2, [%rd0];")),
        [1; 3],
        64,
        0,
        &[out.into()],
    );
    assert_rule(&found, Rule::GlobalRace, &["atomically"]);
    gpu.options.global_races = false;
    let module = gpu
        .module(&with_buffer("st.global.u32 [%rd0], %r0;"))
        .unwrap();
    gpu.launch(&module, "k", [2, 1, 1], [64, 1, 1], 0, &[out.into()])
        .unwrap();
}

#[test]
fn barriers_that_not_all_reach() {
    let mut gpu = Gpu::new();
    let two = "setp.lt.u32 %p1, %r0, 7; @%p1 bra L;\nbar.sync 0;\nbra E;\nL: bar.sync 0;\nE:";
    let found = broken(&mut gpu, &with_buffer(two), 32, &[0u64.into()]);
    assert_rule(&found, Rule::Divergence, &["same warp", "line 16"]);
    let two = "setp.lt.u32 %p1, %r0, 32; @%p1 bra L;\nbar.sync 0;\nbra E;\nL: bar.sync 0;\nE:";
    let found = broken(&mut gpu, &with_buffer(two), 64, &[0u64.into()]);
    assert_rule(
        &found,
        Rule::Divergence,
        &["warp 1 waits at this barrier, warp 0"],
    );
    // Threads that have ended need not come.
    let module = gpu
        .module(&with_buffer(
            "setp.lt.u32 %p1, %r0, 7; @%p1 ret; bar.sync 0;",
        ))
        .unwrap();
    gpu.launch(&module, "k", [1; 3], [64, 1, 1], 0, &[0u64.into()])
        .unwrap();
}

#[test]
fn shuffles_that_not_all_reach() {
    let mut gpu = Gpu::new();
    let half =
        "setp.lt.u32 %p1, %r0, 16; @%p1 shfl.sync.bfly.b32 %r1, %r0, 1, 31, -1; @!%p1 bar.sync 0;";
    let found = broken(&mut gpu, &with_buffer(half), 32, &[0u64.into()]);
    assert_rule(&found, Rule::Divergence, &["do not come"]);
    let ended = "setp.lt.u32 %p1, %r0, 16; @%p1 ret; shfl.sync.bfly.b32 %r1, %r0, 1, 31, -1;";
    let found = broken(&mut gpu, &with_buffer(ended), 32, &[0u64.into()]);
    assert_rule(&found, Rule::Divergence, &["lane 0, which has ended"]);
    let other = "shfl.sync.bfly.b32 %r1, %r0, 1, 31, 0xffff;";
    let found = broken(&mut gpu, &with_buffer(other), 32, &[0u64.into()]);
    assert_rule(&found, Rule::Divergence, &["lane itself"]);
    // Two halves, each with a mask of its own, are fine.
    let halves = "setp.lt.u32 %p1, %r0, 16; selp.b32 %r2, 0xffff, 0xffff0000, %p1; shfl.sync.bfly.b32 %r1, %r0, 1, 31, %r2;";
    let module = gpu.module(&with_buffer(halves)).unwrap();
    gpu.launch(&module, "k", [1; 3], [32, 1, 1], 0, &[0u64.into()])
        .unwrap();
}

#[test]
fn infinite_loops_traps_and_divisions_by_zero() {
    let mut gpu = Gpu::new();
    gpu.options.budget = 10_000;
    let found = broken(
        &mut gpu,
        &with_buffer("L: add.u32 %r0, %r0, 1; bra L;"),
        32,
        &[0u64.into()],
    );
    assert_rule(&found, Rule::Budget, &["10000 instructions"]);
    let found = broken(
        &mut gpu,
        &with_buffer("setp.eq.u32 %p1, %r0, 5; @%p1 trap;"),
        32,
        &[0u64.into()],
    );
    assert_rule(&found, Rule::Trap, &["thread (5,0,0)"]);
    let found = broken(
        &mut gpu,
        &with_buffer("div.s32 %r1, 7, %r0;"),
        32,
        &[0u64.into()],
    );
    assert_rule(&found, Rule::DivisionByZero, &["thread (0,0,0)"]);
}

#[test]
fn neighbouring_shared_and_local_variables() {
    let mut gpu = Gpu::new();
    let shared = ".shared .align 4 .b8 a[64]; .shared .align 4 .b8 b[64]; mov.u32 %r1, b; st.shared.u32 [a+64], %r1;";
    let found = broken(&mut gpu, &with_buffer(shared), 1, &[0u64.into()]);
    assert_rule(&found, Rule::OutOfBounds, &["shared `a`"]);
    let local = ".local .align 4 .b8 a[64]; .local .align 4 .b8 b[64]; st.local.u32 [a+64], %r0;";
    let found = broken(&mut gpu, &with_buffer(local), 1, &[0u64.into()]);
    assert_rule(&found, Rule::OutOfBounds, &["outside every variable"]);
    let dynamic = with_buffer("st.shared.u32 [d+16], %r0;")
        .replace(".visible", ".extern .shared .align 4 .b8 d[];\n.visible");
    let found = broken_with(&mut gpu, &dynamic, [1; 3], 1, 16, &[0u64.into()]);
    assert_rule(&found, Rule::OutOfBounds, &["dynamic shared memory"]);
}
