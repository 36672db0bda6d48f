//! One case per instruction class: a few lines of PTX that leave their result in `%r0`, `%rd1`, `%f0`
//! or `%fd0`, and what PTX's manual says it is.

mod common;

use common::*;

/// Runs `body` with one thread; `store` says which register is the result.
#[track_caller]
fn eval(body: &str, store: &str) -> u64 {
    let source = ptx(
        ".param .u64 out",
        &format!("ld.param.u64 %rd0, [out];\n{body}\n{store};\nret;"),
    );
    let mut gpu = Gpu::new();
    let out = gpu.upload(&[0u32, 0]);
    let module = gpu
        .module(&source)
        .unwrap_or_else(|error| panic!("{error}\n{source}"));
    gpu.launch(&module, "k", [1, 1, 1], [1, 1, 1], 0, &[out.into()])
        .unwrap_or_else(|violation| panic!("{violation}"));
    gpu.u64s(out, 1)[0]
}

#[track_caller]
fn narrow(body: &str, expected: u32) {
    assert_eq!(
        eval(body, "st.global.u32 [%rd0], %r0") as u32,
        expected,
        "{body}"
    );
}

#[track_caller]
fn wide(body: &str, expected: u64) {
    assert_eq!(eval(body, "st.global.u64 [%rd0], %rd1"), expected, "{body}");
}

#[track_caller]
fn single(body: &str, expected: f32) {
    let found = eval(body, "st.global.f32 [%rd0], %f0") as u32;
    assert_eq!(
        found,
        expected.to_bits(),
        "{body}: {} for {expected}",
        f32::from_bits(found)
    );
}

#[track_caller]
fn double(body: &str, expected: f64) {
    let found = eval(body, "st.global.f64 [%rd0], %fd0");
    assert_eq!(
        found,
        expected.to_bits(),
        "{body}: {} for {expected}",
        f64::from_bits(found)
    );
}

/// A float as PTX spells it.
fn hex(x: f32) -> String {
    format!("0f{:08X}", x.to_bits())
}

fn hex64(x: f64) -> String {
    format!("0d{:016X}", x.to_bits())
}

#[test]
fn integer_arithmetic() {
    narrow("mov.u32 %r1, 7; add.s32 %r0, %r1, -9;", -2i32 as u32);
    narrow("mov.u32 %r1, 7; sub.u32 %r0, %r1, 9;", -2i32 as u32);
    narrow("mov.u32 %r1, 0x10001; mul.lo.u32 %r0, %r1, %r1;", 0x20001);
    narrow("mov.u32 %r1, 0x80000000; mul.hi.u32 %r0, %r1, 6;", 3);
    narrow("mov.u32 %r1, -2; mul.hi.s32 %r0, %r1, 6;", !0);
    narrow("mov.u32 %r1, 5; mad.lo.s32 %r0, %r1, -3, 4;", -11i32 as u32);
    narrow("mov.u32 %r1, 0x80000000; mad.hi.u32 %r0, %r1, 6, 4;", 7);
    wide("mov.u32 %r1, -5; mul.wide.s32 %rd1, %r1, 3;", -15i64 as u64);
    wide(
        "mov.u32 %r1, -1; mul.wide.u32 %rd1, %r1, 3;",
        3 * 0xffff_ffff,
    );
    wide(
        "mov.u32 %r1, -5; mad.wide.s32 %rd1, %r1, 3, 1;",
        -14i64 as u64,
    );
    wide("mov.u64 %rd2, -5; mul.lo.s64 %rd1, %rd2, 7;", -35i64 as u64);
    wide("mov.u64 %rd2, -1; mul.hi.u64 %rd1, %rd2, 7;", 6);
    narrow("mov.u32 %r1, -17; div.s32 %r0, %r1, 5;", -3i32 as u32);
    narrow("mov.u32 %r1, -17; rem.s32 %r0, %r1, 5;", -2i32 as u32);
    narrow(
        "mov.u32 %r1, -17; div.u32 %r0, %r1, 5;",
        (u32::MAX - 16) / 5,
    );
    narrow("mov.u32 %r1, 17; rem.u32 %r0, %r1, 5;", 2);
    wide("mov.u64 %rd2, -17; rem.s64 %rd1, %rd2, 5;", -2i64 as u64);
    narrow("mov.u32 %r1, -3; min.s32 %r0, %r1, 2;", -3i32 as u32);
    narrow("mov.u32 %r1, -3; min.u32 %r0, %r1, 2;", 2);
    narrow("mov.u32 %r1, -3; max.s32 %r0, %r1, 2;", 2);
    narrow("mov.u32 %r1, -3; abs.s32 %r0, %r1;", 3);
    narrow("mov.u32 %r1, 3; neg.s32 %r0, %r1;", -3i32 as u32);
    narrow(
        "mov.u16 %h1, 0xfffe; add.s16 %h2, %h1, 5; cvt.u32.u16 %r0, %h2;",
        3,
    );
    narrow("mov.u16 %h1, 0xfffe; cvt.s32.s16 %r0, %h1;", -2i32 as u32);
    narrow("mov.u16 %h1, 300; mul.wide.u16 %r0, %h1, 300;", 90000);
}

#[test]
fn bits_and_shifts() {
    narrow("mov.u32 %r1, 0xf0f0; and.b32 %r0, %r1, 0xff;", 0xf0);
    narrow("mov.u32 %r1, 0xf0f0; or.b32 %r0, %r1, 0xff;", 0xf0ff);
    narrow("mov.u32 %r1, 0xf0f0; xor.b32 %r0, %r1, 0xff;", 0xf00f);
    narrow("mov.u32 %r1, 0xf0f0; not.b32 %r0, %r1;", 0xffff_0f0f);
    narrow("mov.u32 %r1, 3; shl.b32 %r0, %r1, 30;", 0xc000_0000);
    narrow("mov.u32 %r1, 3; shl.b32 %r0, %r1, 32;", 0);
    narrow("mov.u32 %r1, -8; shr.s32 %r0, %r1, 40;", !0);
    narrow("mov.u32 %r1, -8; shr.u32 %r0, %r1, 28;", 15);
    wide("mov.u64 %rd2, -8; shr.s64 %rd1, %rd2, 1;", -4i64 as u64);
    narrow("mov.u32 %r1, 0xf0f1; popc.b32 %r0, %r1;", 9);
    narrow("mov.u64 %rd2, -1; popc.b64 %r0, %rd2;", 64);
    narrow("mov.u32 %r1, 0xf0; clz.b32 %r0, %r1;", 24);
    narrow("mov.u32 %r1, 0; clz.b32 %r0, %r1;", 32);
    narrow("mov.u32 %r1, 6; brev.b32 %r0, %r1;", 0x6000_0000);
    narrow("mov.u32 %r1, 0xabcd; bfe.u32 %r0, %r1, 4, 8;", 0xbc);
    narrow("mov.u32 %r1, 0xabcd; bfe.s32 %r0, %r1, 4, 8;", 0xffff_ffbc);
    narrow(
        "mov.u32 %r1, 0x80000000; bfe.s32 %r0, %r1, 28, 8;",
        0xffff_fff8,
    );
    narrow(
        "mov.u32 %r1, 0x55; bfi.b32 %r0, %r1, -1, 8, 8;",
        0xffff_55ff,
    );
    narrow(
        "mov.u32 %r1, 0x33221100; prmt.b32 %r0, %r1, 0x77665544, 0x7160;",
        0x7711_6600,
    );
    narrow(
        "mov.u32 %r1, 0x12345678; shf.l.wrap.b32 %r0, %r1, %r1, 8;",
        0x3456_7812,
    );
    narrow(
        "mov.u32 %r1, 0x12345678; shf.r.wrap.b32 %r0, %r1, %r1, 8;",
        0x7812_3456,
    );
    narrow("mov.u32 %r1, 1; shf.l.clamp.b32 %r0, 7, %r1, 40;", 7);
    // a ^ b ^ c has the table 0x96, majority 0xe8.
    narrow(
        "mov.u32 %r1, 0xc; lop3.b32 %r0, %r1, 0xa, 0x6, 0x96;",
        0xc ^ 0xa ^ 0x6,
    );
    narrow("mov.u32 %r1, 0xc; lop3.b32 %r0, %r1, 0xa, 0x6, 0xe8;", 0xe);
    wide("mov.u32 %r1, 5; mov.b64 %rd1, {%r1, 6};", 6 << 32 | 5);
    narrow("mov.u64 %rd2, 0x600000005; mov.b64 {%r1, %r0}, %rd2;", 6);
    narrow(
        "mov.u32 %r1, 0x60005; mov.b32 {_, %h1}, %r1; cvt.u32.u16 %r0, %h1;",
        6,
    );
}

#[test]
fn floats_round_once() {
    let (a, b, c) = (1.000_000_1f32, 3.3f32, -3.3f32);
    let load = format!(
        "mov.f32 %f1, {}; mov.f32 %f2, {}; mov.f32 %f3, {};",
        hex(a),
        hex(b),
        hex(c)
    );
    single(&format!("{load} add.rn.f32 %f0, %f1, %f2;"), a + b);
    single(&format!("{load} sub.f32 %f0, %f1, %f2;"), a - b);
    single(&format!("{load} mul.f32 %f0, %f1, %f2;"), a * b);
    single(&format!("{load} div.rn.f32 %f0, %f1, %f2;"), a / b);
    single(
        &format!("{load} fma.rn.f32 %f0, %f1, %f2, %f3;"),
        a.mul_add(b, c),
    );
    assert_ne!(
        a.mul_add(b, c),
        a * b + c,
        "the case must tell a fused operation from two"
    );
    single(&format!("{load} sqrt.rn.f32 %f0, %f2;"), b.sqrt());
    single(&format!("{load} neg.f32 %f0, %f2;"), c);
    single(&format!("{load} abs.f32 %f0, %f3;"), b);
    single(&format!("{load} copysign.f32 %f0, %f3, %f1;"), -a);
    let tiny = f32::from_bits(1);
    single(
        &format!("mov.f32 %f1, {}; add.f32 %f0, %f1, %f1;", hex(tiny)),
        tiny + tiny,
    );
    double(
        &format!(
            "mov.f64 %fd1, {}; div.rn.f64 %fd0, %fd1, {};",
            hex64(1.0),
            hex64(3.0)
        ),
        1.0 / 3.0,
    );
}

#[test]
fn minima_and_maxima_know_nan_and_signed_zero() {
    let two = |op: &str, a: f32, b: f32| {
        format!(
            "mov.f32 %f1, {}; mov.f32 %f2, {}; {op}.f32 %f0, %f1, %f2;",
            hex(a),
            hex(b)
        )
    };
    single(&two("min", 1.0, -2.0), -2.0);
    single(&two("max", 1.0, -2.0), 1.0);
    single(&two("min", f32::NAN, -2.0), -2.0);
    single(&two("max", 1.0, f32::NAN), 1.0);
    single(&two("min", 0.0, -0.0), -0.0);
    single(&two("min", -0.0, 0.0), -0.0);
    single(&two("max", 0.0, -0.0), 0.0);
    single(&two("max", -0.0, 0.0), 0.0);
}

#[test]
fn approximations_are_near() {
    for (op, expected) in [
        ("ex2.approx", 1.7f32.exp2()),
        ("lg2.approx", 1.7f32.log2()),
        ("rcp.approx", 1.0 / 1.7),
        ("rsqrt.approx", 1.0 / 1.7f32.sqrt()),
        ("sin.approx", 1.7f32.sin()),
        ("cos.approx", 1.7f32.cos()),
        ("tanh.approx", 1.7f32.tanh()),
    ] {
        let body = format!("mov.f32 %f1, {}; {op}.f32 %f0, %f1;", hex(1.7));
        let found = f32::from_bits(eval(&body, "st.global.f32 [%rd0], %f0") as u32);
        assert!(
            (found - expected).abs() <= 2e-7,
            "{op}: {found} for {expected}"
        );
    }
}

#[test]
fn comparisons_of_nan_and_of_signs() {
    let both = |compare: &str, a: f32, b: f32, expected: bool| {
        let body = format!(
            "mov.f32 %f1, {}; mov.f32 %f2, {}; setp.{compare}.f32 %p1, %f1, %f2; selp.u32 %r0, 1, 0, %p1;",
            hex(a),
            hex(b)
        );
        narrow(&body, u32::from(expected));
    };
    for (compare, less, equal, nan) in [
        ("eq", false, true, false),
        ("ne", true, false, false),
        ("lt", true, false, false),
        ("le", true, true, false),
        ("gt", false, false, false),
        ("ge", false, true, false),
        ("equ", false, true, true),
        ("neu", true, false, true),
        ("ltu", true, false, true),
        ("leu", true, true, true),
        ("gtu", false, false, true),
        ("geu", false, true, true),
        ("num", true, true, false),
        ("nan", false, false, true),
    ] {
        both(compare, 1.0, 2.0, less);
        both(compare, 2.0, 2.0, equal);
        both(compare, f32::NAN, 2.0, nan);
    }
    narrow(
        "mov.u32 %r1, -1; setp.lt.s32 %p1, %r1, 1; selp.u32 %r0, 1, 0, %p1;",
        1,
    );
    narrow(
        "mov.u32 %r1, -1; setp.lo.u32 %p1, %r1, 1; selp.u32 %r0, 1, 0, %p1;",
        0,
    );
    narrow(
        "mov.u64 %rd2, -1; setp.gt.s64 %p1, %rd2, 1; selp.u32 %r0, 1, 0, %p1;",
        0,
    );
    narrow(
        "mov.u32 %r1, 4; setp.eq.s32 %p1, %r1, 4; setp.gt.and.s32 %p2|%p3, %r1, 9, %p1; \
         selp.u32 %r2, 1, 0, %p2; selp.u32 %r3, 2, 0, %p3; or.b32 %r0, %r2, %r3;",
        2,
    );
    narrow(
        "mov.u32 %r1, 4; setp.ne.xor.s32 %p2, %r1, 9, 1; selp.u32 %r0, 1, 0, %p2;",
        0,
    );
    narrow(
        "mov.pred %p1, 1; not.pred %p2, %p1; or.pred %p3, %p1, %p2; selp.u32 %r0, 1, 0, %p3;",
        1,
    );
    narrow("mov.f32 %f1, 0f80000000; slct.u32.f32 %r0, 5, 6, %f1;", 5);
    narrow("mov.u32 %r1, -1; slct.u32.s32 %r0, 5, 6, %r1;", 6);
    narrow(
        "mov.f32 %f1, 0f7F800000; testp.infinite.f32 %p1, %f1; selp.u32 %r0, 1, 0, %p1;",
        1,
    );
}

#[test]
fn conversions() {
    let of = |x: f32, cvt: &str| format!("mov.f32 %f1, {}; {cvt}.f32 %r0, %f1;", hex(x));
    narrow(&of(-2.5, "cvt.rni.s32"), -2i32 as u32);
    narrow(&of(-2.5, "cvt.rzi.s32"), -2i32 as u32);
    narrow(&of(-2.5, "cvt.rmi.s32"), -3i32 as u32);
    narrow(&of(2.5, "cvt.rpi.s32"), 3);
    narrow(&of(-1.0, "cvt.rzi.u32"), 0);
    narrow(&of(1e20, "cvt.rzi.s32"), i32::MAX as u32);
    narrow(&of(f32::NAN, "cvt.rzi.s32"), 0);
    single(
        "mov.u32 %r1, 16777217; cvt.rn.f32.u32 %f0, %r1;",
        16_777_216.0,
    );
    single(
        "mov.u32 %r1, 16777217; cvt.rp.f32.u32 %f0, %r1;",
        16_777_218.0,
    );
    single(
        "mov.u32 %r1, -16777219; cvt.rz.f32.s32 %f0, %r1;",
        -16_777_218.0,
    );
    single(
        "mov.u64 %rd2, -1; cvt.rn.f32.u64 %f0, %rd2;",
        u64::MAX as f32,
    );
    single(
        &format!("mov.f32 %f1, {}; cvt.rmi.f32.f32 %f0, %f1;", hex(-0.5)),
        -1.0,
    );
    single(
        &format!("mov.f32 %f1, {}; cvt.sat.f32.f32 %f0, %f1;", hex(3.0)),
        1.0,
    );
    single(
        &format!("mov.f64 %fd1, {}; cvt.rn.f32.f64 %f0, %fd1;", hex64(0.1)),
        0.1,
    );
    double(
        &format!("mov.f32 %f1, {}; cvt.f64.f32 %fd0, %f1;", hex(0.1)),
        f64::from(0.1f32),
    );
    wide("mov.u32 %r1, -3; cvt.s64.s32 %rd1, %r1;", -3i64 as u64);
    wide("mov.u32 %r1, -3; cvt.u64.u32 %rd1, %r1;", 0xffff_fffd);
    narrow("mov.u32 %r1, 0x1ff; cvt.s32.s8 %r0, %r1;", !0);
    narrow("mov.u32 %r1, 300; cvt.sat.u8.u32 %r0, %r1;", 255);
    narrow("mov.u32 %r1, 300; cvt.u8.u32 %r0, %r1;", 44);
}

#[test]
fn control_flow() {
    // 1 + 2 + … + 10, by a loop.
    narrow(
        "mov.u32 %r1, 10; mov.u32 %r0, 0;\nL: add.u32 %r0, %r0, %r1; add.s32 %r1, %r1, -1;\n\
         setp.ne.u32 %p1, %r1, 0; @%p1 bra L;",
        55,
    );
    narrow(
        "mov.u32 %r0, 1; setp.eq.u32 %p1, %r0, 2; @%p1 mov.u32 %r0, 7; @!%p1 add.u32 %r0, %r0, 4;",
        5,
    );
    narrow(
        "mov.u32 %r1, 2; mov.u32 %r0, 0;\nT: .branchtargets A, B, C;\nbrx.idx %r1, T;\n\
         A: add.u32 %r0, %r0, 1;\nB: add.u32 %r0, %r0, 10;\nC: add.u32 %r0, %r0, 100;",
        100,
    );
}

#[test]
fn memory_of_every_space_and_width() {
    narrow(
        ".shared .align 8 .b8 s[16]; mov.u32 %r1, s; mov.u32 %r2, 0x12345678; st.shared.u32 [%r1+4], %r2;\n\
         ld.shared.u16 %h1, [s+6]; cvt.u32.u16 %r0, %h1;",
        0x1234,
    );
    narrow(
        ".local .align 8 .b8 d[16]; mov.u64 %rd2, d; st.local.v2.u32 [%rd2+8], {3, 4};\n\
         cvta.local.u64 %rd3, %rd2; ld.u32 %r0, [%rd3+12];",
        4,
    );
    narrow(
        "st.global.u8 [%rd0], 0x80; ld.global.s8 %r0, [%rd0];",
        0xffff_ff80,
    );
    narrow(
        "cvta.to.global.u64 %rd3, %rd0; st.global.u8 [%rd3], 0x80; ld.global.u8 %r0, [%rd3];",
        0x80,
    );
    narrow(
        "{ .param .b32 a; .param .b32 b; st.param.b32 [a+0], 5; ld.param.b32 %r0, [a+0]; }",
        5,
    );
}

#[test]
fn atomics_return_the_old_value() {
    for (op, old, operand, new) in [
        ("add.u32", 5, 3, 8),
        ("min.s32", 5u32, -3i32 as u32, -3i32 as u32),
        ("min.u32", 5, -3i32 as u32, 5),
        ("max.s32", 5, -3i32 as u32, 5),
        ("inc.u32", 5, 5, 0),
        ("dec.u32", 0, 9, 9),
        ("and.b32", 12, 10, 8),
        ("or.b32", 12, 10, 14),
        ("xor.b32", 12, 10, 6),
        ("exch.b32", 12, 10, 10),
        (
            "add.f32",
            1.5f32.to_bits(),
            2.0f32.to_bits(),
            3.5f32.to_bits(),
        ),
    ] {
        let body = format!(
            "mov.u32 %r1, {old}; st.global.u32 [%rd0], %r1; mov.b32 %r2, {operand}; mov.b32 %f2, %r2;\n\
             atom.global.{op} {}, [%rd0], {}; ld.global.u32 %r3, [%rd0];\n{} \
             setp.eq.u32 %p1, %r0, {old}; selp.u32 %r0, %r3, -1, %p1;",
            if op.ends_with("f32") { "%f1" } else { "%r0" },
            if op.ends_with("f32") { "%f2" } else { "%r2" },
            if op.ends_with("f32") {
                "mov.b32 %r0, %f1;"
            } else {
                ""
            },
        );
        narrow(&body, new);
    }
    narrow(
        "mov.u32 %r1, 4; st.global.u32 [%rd0], %r1; atom.global.cas.b32 %r2, [%rd0], 4, 9; ld.global.u32 %r0, [%rd0];",
        9,
    );
    narrow(
        "red.global.add.u32 [%rd0], 4; ld.global.u32 %r0, [%rd0];",
        4,
    );
}

/// Runs `body` with `threads` threads, each of which has its number in `%r0` and stores `%r1`.
fn warp(body: &str, threads: u32) -> Vec<u32> {
    let source = ptx(
        ".param .u64 out",
        &format!(
            "ld.param.u64 %rd0, [out]; mov.u32 %r0, %tid.x; mul.wide.u32 %rd1, %r0, 4; add.s64 %rd1, %rd0, %rd1;\n\
             {body}\nst.global.u32 [%rd1], %r1;\nret;"
        ),
    );
    let mut gpu = Gpu::new();
    let out = gpu.alloc(4 * u64::from(threads));
    let module = gpu
        .module(&source)
        .unwrap_or_else(|error| panic!("{error}"));
    gpu.launch(&module, "k", [1, 1, 1], [threads, 1, 1], 0, &[out.into()])
        .unwrap_or_else(|violation| panic!("{violation}"));
    gpu.u32s(out, threads as usize)
}

#[test]
fn shuffles_and_votes() {
    let by = |f: fn(u32) -> u32| (0..32).map(f).collect::<Vec<u32>>();
    assert_eq!(
        warp("shfl.sync.down.b32 %r1, %r0, 3, 31, -1;", 32),
        by(|l| if l + 3 < 32 { l + 3 } else { l })
    );
    assert_eq!(
        warp("shfl.sync.up.b32 %r1, %r0, 3, 0, -1;", 32),
        by(|l| if l >= 3 { l - 3 } else { l })
    );
    assert_eq!(
        warp("shfl.sync.bfly.b32 %r1, %r0, 5, 31, -1;", 32),
        by(|l| l ^ 5)
    );
    assert_eq!(
        warp("shfl.sync.idx.b32 %r1, %r0, 9, 31, -1;", 32),
        by(|_| 9)
    );
    // Groups of eight: c is 0x1800 | 31.
    assert_eq!(
        warp("shfl.sync.idx.b32 %r1, %r0, 2, 0x181f, -1;", 32),
        by(|l| l & 24 | 2)
    );
    assert_eq!(
        warp(
            "shfl.sync.down.b32 %r2|%p1, %r0, 1, 31, -1; selp.u32 %r1, 1, 0, %p1;",
            32
        ),
        by(|l| u32::from(l < 31))
    );
    let odd = "and.b32 %r2, %r0, 1; setp.ne.u32 %p1, %r2, 0;";
    assert_eq!(
        warp(&format!("{odd} vote.sync.ballot.b32 %r1, %p1, -1;"), 32),
        vec![0xaaaa_aaaa; 32]
    );
    assert_eq!(
        warp(
            &format!(
                "{odd} vote.sync.any.pred %p2, %p1, -1; vote.sync.all.pred %p3, %p1, -1;\n\
             selp.u32 %r3, 1, 0, %p2; selp.u32 %r4, 2, 0, %p3; or.b32 %r1, %r3, %r4;"
            ),
            32
        ),
        vec![1; 32]
    );
    // A short warp: lanes that do not exist may be named.
    assert_eq!(
        warp(
            "setp.lt.u32 %p1, %r0, 99; vote.sync.ballot.b32 %r1, %p1, -1;",
            5
        ),
        vec![31; 5]
    );
}

#[test]
fn diverged_lanes_meet_again() {
    // Each lane loops as often as its number; afterwards all of them vote together.
    let body = "mov.u32 %r2, 0; mov.u32 %r3, 0;\n\
        setp.eq.u32 %p1, %r0, 0; @%p1 bra E;\n\
        L: add.u32 %r2, %r2, 2; add.u32 %r3, %r3, 1; setp.lt.u32 %p1, %r3, %r0; @%p1 bra L;\n\
        E: activemask.b32 %r4; setp.eq.u32 %p2, %r4, -1; selp.u32 %r5, 1000, 0, %p2; add.u32 %r1, %r2, %r5;";
    assert_eq!(
        warp(body, 32),
        (0..32).map(|l| 1000 + 2 * l).collect::<Vec<u32>>()
    );
    // Both sides of a branch wait for each other at one shuffle behind it.
    let body = "and.b32 %r2, %r0, 1; setp.ne.u32 %p1, %r2, 0; mov.u32 %r3, 7;\n\
        @%p1 bra O; mov.u32 %r3, 9; bra J;\nO: mov.u32 %r3, 8;\nJ: shfl.sync.bfly.b32 %r1, %r3, 1, 31, -1;";
    assert_eq!(
        warp(body, 32),
        (0..32)
            .map(|l| if l % 2 == 0 { 8 } else { 9 })
            .collect::<Vec<u32>>()
    );
}

#[test]
fn special_registers_of_a_grid() {
    let source = ptx(
        ".param .u64 out",
        "ld.param.u64 %rd0, [out];\n\
         mov.u32 %r0, %ctaid.y; mov.u32 %r1, %nctaid.x; mad.lo.u32 %r0, %r0, %r1, 0; mov.u32 %r2, %ctaid.x;\n\
         add.u32 %r0, %r0, %r2; mov.u32 %r1, %ntid.x; mov.u32 %r2, %ntid.y; mul.lo.u32 %r3, %r1, %r2;\n\
         mov.u32 %r4, %tid.y; mov.u32 %r5, %tid.x; mad.lo.u32 %r4, %r4, %r1, %r5; mad.lo.u32 %r0, %r0, %r3, %r4;\n\
         mul.wide.u32 %rd1, %r0, 4; add.s64 %rd1, %rd0, %rd1;\n\
         mov.u32 %r6, %laneid; mov.u32 %r7, %warpid; shl.b32 %r7, %r7, 8; or.b32 %r6, %r6, %r7;\n\
         st.global.u32 [%rd1], %r6; ret;",
    );
    let mut gpu = Gpu::new();
    let out = gpu.alloc(4 * 6 * 60);
    let module = gpu.module(&source).unwrap();
    gpu.launch(&module, "k", [2, 3, 1], [20, 3, 1], 0, &[out.into()])
        .unwrap();
    let expected: Vec<u32> = (0..360)
        .map(|i| (i % 60 % 32) | ((i % 60 / 32) << 8))
        .collect();
    assert_eq!(gpu.u32s(out, 360), expected);
}

#[test]
fn functions_are_called_with_arguments() {
    let source = ".version 6.0\n.target sm_70\n.address_size 64\n\
        .visible .func (.param .b32 r) twice(.param .b32 x)\n{\n.reg .b32 %r<3>;\n.reg .pred %p<2>;\n\
        ld.param.u32 %r1, [x];\nsetp.gt.u32 %p1, %r1, 100;\n@%p1 bra L;\nadd.u32 %r1, %r1, %r1;\n\
        st.param.b32 [r+0], %r1;\nret;\nL:\nst.param.b32 [r+0], 0;\nret;\n}\n\
        .visible .entry k(.param .u64 out)\n{\n.reg .b32 %r<5>;\n.reg .b64 %rd<4>;\n\
        ld.param.u64 %rd1, [out];\nmov.u32 %r1, %tid.x;\nmul.lo.u32 %r2, %r1, 9;\n\
        { .param .b32 p0; st.param.b32 [p0+0], %r2; .param .b32 r0; call.uni (r0), twice, (p0); ld.param.b32 %r3, [r0+0]; }\n\
        { .param .b32 p0; st.param.b32 [p0+0], %r3; .param .b32 r0; call.uni (r0), twice, (p0); ld.param.b32 %r4, [r0+0]; }\n\
        mul.wide.u32 %rd2, %r1, 4;\nadd.s64 %rd3, %rd1, %rd2;\nst.global.u32 [%rd3], %r4;\nret;\n}\n";
    let mut gpu = Gpu::new();
    let out = gpu.alloc(128);
    let module = gpu.module(source).unwrap();
    gpu.launch(&module, "k", [1, 1, 1], [32, 1, 1], 0, &[out.into()])
        .unwrap();
    let twice = |x: u32| if x > 100 { 0 } else { 2 * x };
    assert_eq!(
        gpu.u32s(out, 32),
        (0..32).map(|l| twice(twice(9 * l))).collect::<Vec<u32>>()
    );
}
