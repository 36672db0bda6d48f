//! The number types that a neuron's equations are generic over.
//!
//! A [neuron](super::Neuron) is written once, in operations on [`Num`] and [`Spike`]. An
//! [`Arithmetic`] implements those operations:
//!
//! | arithmetic | number | spike | used by |
//! |---|---|---|---|
//! | [`Scalar`] | `f64` or `f32` | 0 or 1 | the reference engine |
//! | [`Relaxed`] | `f64` or `f32` | soft, `σ(u − θ)` | [`gradcheck`](crate::gradcheck) |
//! | sixteen lanes | a vector register | a bit mask | the CPU engine, once per instruction set |
//!
//! `f64` literals are operands too: `y.mul_add(y, 1.0)`, `2.0 * x`.

use std::{
    cell::{Cell, RefCell},
    marker::PhantomData,
    ops::{Add, Div, Mul, Neg, Sub},
};

use crate::Float;

/// The operations available to a neuron's equations.
///
/// Every method must be `#[inline(always)]` if the arithmetic uses vector registers.
pub trait Arithmetic: Copy {
    /// A number, or one for each of several neurons.
    type V: Copy;
    /// A spike, or one for each of several neurons.
    type S: Copy;

    /// A literal.
    fn number(self, x: f64) -> Self::V;
    /// `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a − b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a·b`.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a/b`.
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a·b + c`, rounded once if the arithmetic supports it.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `√a`.
    fn sqrt(self, a: Self::V) -> Self::V;
    /// `|a|`.
    fn abs(self, a: Self::V) -> Self::V;
    /// `e^a`.
    fn exp(self, a: Self::V) -> Self::V;
    /// `ln a`, for `a` from 1e-6 to 1. By default from the other operations, to a relative error of
    /// about `ε/|ln a|`, with `ε` the rounding of a number.
    #[inline(always)]
    fn ln(self, a: Self::V) -> Self::V {
        let x = Num(self, a);
        // y = 16 (w + w³/3 + w⁵/5) with w = tanh(ln x/16), then Halley's steps of e^y = x.
        let root = x.sqrt().sqrt().sqrt();
        let w = (root - 1.0) / (root + 1.0);
        let square = w * w;
        let mut y = 16.0 * w * square.mul_add(square.mul_add(0.2, 1.0 / 3.0), 1.0);
        for _ in 0..2 {
            let power = y.exp();
            y = y + 2.0 * (x - power) / (x + power);
        }
        y.1
    }
    /// `x > y ? a : b`.
    fn select(self, x: Self::V, y: Self::V, a: Self::V, b: Self::V) -> Self::V;
    /// The spike of a membrane `u` and a threshold: `u > theta`, or soft, `σ(u − theta)`.
    fn fire(self, surrogate: impl Shape, u: Self::V, theta: Self::V) -> Self::S;
    /// No spike.
    fn silent(self) -> Self::S;
    /// The spike as a constant of the backward pass.
    #[inline(always)]
    fn detach(self, s: Self::S) -> Self::S {
        s
    }
    /// The number as a constant of the backward pass.
    #[inline(always)]
    fn hold(self, a: Self::V) -> Self::V {
        a
    }
    /// `s·a`.
    fn gate(self, s: Self::S, a: Self::V) -> Self::V;
    /// `σ'(x)`: [`Shape::slope_with`] with the surrogate's own constants.
    #[inline(always)]
    fn slope(self, surrogate: impl Shape, x: Self::V) -> Self::V {
        let [peak, scale] = surrogate.constants();
        let constants = [Num(self, self.number(peak)), Num(self, self.number(scale))];
        surrogate.slope_with(constants, Num(self, x)).1
    }
}

/// A surrogate gradient: the derivative `σ'` used in place of the spike's, and `σ` itself.
pub trait Shape: Copy {
    /// The constants of [`slope_with`](Self::slope_with): the peak and the scale of `σ'`.
    fn constants(self) -> [f64; 2];
    /// `σ'(x)` at `x = u − θ`, with its constants as numbers.
    fn slope_with<A: Arithmetic>(self, constants: [Num<A>; 2], x: Num<A>) -> Num<A>;
    /// `σ(x)`.
    fn soft_spike<F: Float>(self, x: F) -> F;
}

/// A number of an arithmetic, with operators.
#[derive(Clone, Copy, Debug)]
pub struct Num<A: Arithmetic>(pub(crate) A, pub(crate) A::V);

/// A spike of an arithmetic; a number may be multiplied by it.
#[derive(Clone, Copy, Debug)]
pub struct Spike<A: Arithmetic>(pub(crate) A, pub(crate) A::S);

/// An operand beside a [`Num`]: another `Num` or a literal.
pub trait Operand<A: Arithmetic>: Copy {
    /// The number, in the arithmetic `a`.
    fn of(self, a: A) -> A::V;
}

impl<A: Arithmetic> Operand<A> for Num<A> {
    #[inline(always)]
    fn of(self, _: A) -> A::V {
        self.1
    }
}

impl<A: Arithmetic> Operand<A> for f64 {
    #[inline(always)]
    fn of(self, a: A) -> A::V {
        a.number(self)
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident),*) => { $(
        impl<A: Arithmetic, B: Operand<A>> $trait<B> for Num<A> {
            type Output = Num<A>;
            #[inline(always)]
            fn $method(self, other: B) -> Num<A> {
                Num(self.0, self.0.$method(self.1, other.of(self.0)))
            }
        }
        impl<A: Arithmetic> $trait<Num<A>> for f64 {
            type Output = Num<A>;
            #[inline(always)]
            fn $method(self, other: Num<A>) -> Num<A> {
                Num(other.0, other.0.$method(other.0.number(self), other.1))
            }
        }
    )* };
}
operators!(Add add, Sub sub, Mul mul, Div div);

impl<A: Arithmetic> Neg for Num<A> {
    type Output = Num<A>;
    #[inline(always)]
    fn neg(self) -> Num<A> {
        0.0 - self
    }
}

impl<A: Arithmetic> Num<A> {
    /// A number of the arithmetic.
    #[inline(always)]
    pub fn new(arithmetic: A, value: A::V) -> Self {
        Num(arithmetic, value)
    }

    /// The value in its arithmetic.
    #[inline(always)]
    pub fn value(self) -> A::V {
        self.1
    }

    /// `self·b + c`, rounded once if the arithmetic supports it.
    #[inline(always)]
    pub fn mul_add(self, b: impl Operand<A>, c: impl Operand<A>) -> Self {
        let a = self.0;
        Num(a, a.mul_add(self.1, b.of(a), c.of(a)))
    }

    /// `√self`.
    #[inline(always)]
    pub fn sqrt(self) -> Self {
        Num(self.0, self.0.sqrt(self.1))
    }

    /// `|self|`.
    #[inline(always)]
    pub fn abs(self) -> Self {
        Num(self.0, self.0.abs(self.1))
    }

    /// `e^self`. In the CPU engine the argument is clamped to `[−87, 88]`.
    #[inline(always)]
    pub fn exp(self) -> Self {
        Num(self.0, self.0.exp(self.1))
    }

    /// `ln self`, for numbers from 1e-6 to 1.
    #[inline(always)]
    pub fn ln(self) -> Self {
        Num(self.0, self.0.ln(self.1))
    }

    /// The spike of a neuron that never fires.
    #[inline(always)]
    pub fn silent(self) -> Spike<A> {
        Spike(self.0, self.0.silent())
    }

    /// The number as a constant of the backward pass: no gradient passes through it.
    #[inline(always)]
    pub fn detach(self) -> Self {
        Num(self.0, self.0.hold(self.1))
    }

    /// `a` where `self > y`, else `b`.
    #[inline(always)]
    pub fn select_above(self, y: impl Operand<A>, a: impl Operand<A>, b: impl Operand<A>) -> Self {
        let with = self.0;
        Num(
            with,
            with.select(self.1, y.of(with), a.of(with), b.of(with)),
        )
    }

    /// The literal `x` in this number's arithmetic.
    #[inline(always)]
    pub fn literal(self, x: f64) -> Self {
        Num(self.0, self.0.number(x))
    }
}

impl<A: Arithmetic> Spike<A> {
    /// The value in its arithmetic.
    #[inline(always)]
    pub fn value(self) -> A::S {
        self.1
    }

    /// The spike as a constant of the backward pass: no gradient passes through it, and the
    /// neuron's adjoint has no term for it.
    #[inline(always)]
    pub fn detach(self) -> Self {
        Spike(self.0, self.0.detach(self.1))
    }
}

/// `s·v`.
impl<A: Arithmetic> Mul<Num<A>> for Spike<A> {
    type Output = Num<A>;
    #[inline(always)]
    fn mul(self, v: Num<A>) -> Num<A> {
        Num(self.0, self.0.gate(self.1, v.1))
    }
}

/// Plain numbers; a spike is 0 or 1. Products and sums are rounded one by one.
#[derive(Debug)]
pub struct Scalar<F>(PhantomData<F>);

impl<F> Clone for Scalar<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Scalar<F> {}

impl<F> Scalar<F> {
    /// The arithmetic of `F`.
    pub fn new() -> Self {
        Scalar(PhantomData)
    }
}

impl<F> Default for Scalar<F> {
    fn default() -> Self {
        Scalar::new()
    }
}

/// The operations that [`Scalar`] and [`Relaxed`] share: those on numbers.
macro_rules! numbers {
    ($F:ty) => {
        type V = $F;
        #[inline(always)]
        fn number(self, x: f64) -> $F {
            <$F>::from_f64(x)
        }
        #[inline(always)]
        fn add(self, a: $F, b: $F) -> $F {
            a + b
        }
        #[inline(always)]
        fn sub(self, a: $F, b: $F) -> $F {
            a - b
        }
        #[inline(always)]
        fn mul(self, a: $F, b: $F) -> $F {
            a * b
        }
        #[inline(always)]
        fn div(self, a: $F, b: $F) -> $F {
            a / b
        }
        #[inline(always)]
        fn mul_add(self, a: $F, b: $F, c: $F) -> $F {
            a * b + c
        }
        #[inline(always)]
        fn sqrt(self, a: $F) -> $F {
            a.sqrt()
        }
        #[inline(always)]
        fn abs(self, a: $F) -> $F {
            a.abs()
        }
        #[inline(always)]
        fn exp(self, a: $F) -> $F {
            a.exp_portable()
        }
        #[inline(always)]
        fn ln(self, a: $F) -> $F {
            a.ln_portable()
        }
        #[inline(always)]
        fn select(self, x: $F, y: $F, a: $F, b: $F) -> $F {
            if x > y { a } else { b }
        }
    };
}

impl<F: Float> Arithmetic for Scalar<F> {
    numbers!(F);
    type S = bool;
    #[inline(always)]
    fn fire(self, _: impl Shape, u: F, theta: F) -> bool {
        u > theta
    }
    #[inline(always)]
    fn silent(self) -> bool {
        false
    }
    #[inline(always)]
    fn gate(self, s: bool, a: F) -> F {
        if s { a } else { F::zero() }
    }
}

/// The relaxed network: every spike is the soft spike `σ(u − θ)`, and every detached one a constant.
///
/// A network of soft spikes is smooth, so the adjoint of a neuron must agree with finite
/// differences of its step; [`gradcheck`](crate::gradcheck) compares the two. Detached spikes must
/// keep their values while a parameter is perturbed; `Held` stores them.
#[derive(Clone, Copy, Debug)]
pub struct Relaxed<'a, F> {
    held: Option<&'a Held<F>>,
}

/// The detached spikes and numbers of one forward pass of a relaxed network, in the order in which the neurons
/// request them.
#[derive(Debug)]
pub struct Held<F> {
    values: RefCell<Vec<F>>,
    next: Cell<usize>,
}

impl<F> Default for Held<F> {
    fn default() -> Self {
        Held {
            values: RefCell::new(Vec::new()),
            next: Cell::new(0),
        }
    }
}

impl<'a, F: Float> Relaxed<'a, F> {
    /// For a forward pass. The first pass with these `held` records the detached spikes; later
    /// passes reuse the recorded values.
    pub(crate) fn forward(held: &'a Held<F>) -> Self {
        held.next.set(0);
        Relaxed { held: Some(held) }
    }

    /// For the backward pass of the first forward pass.
    pub(crate) fn backward() -> Self {
        Relaxed { held: None }
    }
}

impl<F: Float> Held<F> {
    fn hold(&self, s: F) -> F {
        let at = self.next.replace(self.next.get() + 1);
        let mut values = self.values.borrow_mut();
        if at == values.len() {
            values.push(s);
        }
        values[at]
    }
}

impl<F: Float> Arithmetic for Relaxed<'_, F> {
    numbers!(F);
    type S = F;
    fn fire(self, surrogate: impl Shape, u: F, theta: F) -> F {
        surrogate.soft_spike(u - theta)
    }
    fn silent(self) -> F {
        F::zero()
    }
    fn detach(self, s: F) -> F {
        self.held.map_or(s, |held| held.hold(s))
    }
    fn hold(self, a: F) -> F {
        self.detach(a)
    }
    fn gate(self, s: F, a: F) -> F {
        s * a
    }
}
