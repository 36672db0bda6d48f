//! Modules that must not load: each error names the line and what is wrong there.

mod common;

use common::*;

#[track_caller]
fn refused(source: &str, line: u32, words: &str) {
    let error = Gpu::new().module(source).expect_err("the module loaded");
    assert!(
        error.message.contains(words),
        "`{words}` is missing in: {error}"
    );
    assert_eq!(error.line, line, "{error}");
}

/// The body starts on line 12 of what [`ptx`] makes.
#[track_caller]
fn body(text: &str, words: &str) {
    refused(&ptx("", text), 12, words);
}

#[test]
fn unknown_instructions_and_modifiers() {
    body("foo.s32 %r1, %r2;", "`foo.s32`");
    body("add.ftz.f32 %f1, %f2, %f3;", "`add.ftz.f32`");
    body("add.rz.f32 %f1, %f2, %f3;", "`add.rz.f32`");
    body("fma.f32 %f1, %f2, %f3, %f4;", "`fma.f32`");
    body("sqrt.f32 %f1, %f2;", "`sqrt.f32`");
    body("ex2.f32 %f1, %f2;", "`ex2.f32`");
    body("add.sat.s32 %r1, %r2, %r3;", "`add.sat.s32`");
    body("add.cc.s32 %r1, %r2, %r3;", "`add.cc.s32`");
    body("cvt.f32.u32 %f1, %r2;", "`cvt.f32.u32`");
    body("cvt.rn.f64.f32 %fd1, %f2;", "`cvt.rn.f64.f32`");
    body("setp.ltu.s32 %p1, %r2, %r3;", "`setp.ltu.s32`");
    body(
        "ld.global.acquire.gpu.u32 %r1, [%rd1];",
        "`ld.global.acquire.gpu.u32`",
    );
    body(
        "atom.global.add.u16 %h1, [%rd1], %h2;",
        "`atom.global.add.u16`",
    );
    body("shfl.down.b32 %r1, %r2, 1, 31;", "`shfl.down.b32`");
    body("bar.sync 0, 64;", "thread count");
    body(
        "tex.2d.v4.f32.f32 {%f1,%f2,%f3,%f4}, [t, {%f5,%f6}];",
        "expected",
    );
    body("mov.u32 %r1, %clock;", "unrepeatable");
}

#[test]
fn operands_that_do_not_fit() {
    body("add.s32 %rd1, %r2, %r3;", "64 bits");
    body("add.s64 %rd1, %r2, %rd3;", "32 bits");
    body("add.s32 %r1, %r2;", "2 operands where 3 are needed");
    body("add.s32 %r1, %r2, %r40;", "beyond");
    body("add.s32 %r1, %q2, %r3;", "`%q2` is not a register");
    body("ld.global.u32 %h1, [%rd1];", "does not fit");
    body("ld.global.v2.u32 {%r1, %r2, %r3}, [%rd1];", "3 registers");
    body("selp.u32 %r1, 1, 2, %r3;", "not a predicate");
    body("bra NOWHERE;", "no label `NOWHERE`");
    body("L: L: ret;", "stands twice");
    body("call.uni f;", "no function `f`");
    body(".reg .b32 %r<2>;", "declared twice");
}

#[test]
fn directives_and_headers() {
    refused(".version 6.0\n.target sm_70\n.alias a, b;\n", 3, "`.alias`");
    refused(
        ".version 6.0\n.target sm_70\n.address_size 32\n",
        3,
        "address_size",
    );
    refused(".version 9.9\n.target sm_70\n", 1, "too new");
    refused(".target sm_70\n", 1, "`.version`");
    refused(
        ".version 6.0\n.target sm_70\n.extern .global .u32 x;\n",
        3,
        "`.extern`",
    );
    refused(
        ".version 6.0\n.target sm_70\n.global .u32 x = 0f00000000;\n",
        3,
        "initial value",
    );
    refused("/* no end", 1, "without an end");
    let recursive = ".version 6.0\n.target sm_70\n.func f()\n{\ncall.uni f;\n}\n.entry k()\n{\ncall.uni f;\n}\n";
    refused(recursive, 5, "recursive");
}
