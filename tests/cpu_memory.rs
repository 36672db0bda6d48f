//! Classifying allocates nothing once the engine has seen a batch of that shape and as few zeros: one image
//! on any number of threads, a batch on one thread (a thread pool keeps books of its own). Nor does a
//! predictor, on each thread after the first call there.
#![allow(unsafe_code)] // an allocator that counts

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::Barrier,
    thread,
};

use ndarray::{Array2, Array3};
use spikegrad::{Adam, CpuEngine, Engine, Input, Leaky, Loss, Network, Predictor, ReadOut};

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; only their number is counted beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` with this `layout`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(f: impl FnOnce()) -> usize {
    let before = COUNT.get();
    f();
    COUNT.get() - before
}

fn engine() -> CpuEngine {
    let mut network: Network = Network::builder(100)
        .layer(200, Leaky::new(0.95))
        .layer(70, Leaky::new(0.95))
        .layer(10, Leaky::new(0.95))
        .seed(1)
        .build()
        .unwrap();
    for (name, mut values) in network.parameters_mut() {
        if name.ends_with("weight") {
            values.mapv_inplace(|w| 2.5 * w + 0.02);
        }
    }
    CpuEngine::new(network, Loss::CrossEntropyMembrane, Adam::new(1e-3)).unwrap()
}

fn predictor() -> Predictor {
    Predictor::from_engine(&mut engine()).unwrap()
}

/// `batch` images of which ever more pixels are lit, the larger `n`.
fn images(batch: usize, n: usize) -> Array2<f32> {
    Array2::from_shape_fn((batch, 100), |(b, i)| match (7 * i + 13 * b) % 10 < n {
        true => 0.3 + (i % 7) as f32 * 0.1,
        false => 0.0,
    })
}

/// The second call and all that follow: sparser, denser, dense images.
fn later_calls_are_silent(batch: usize) {
    let (mut engine, mut classes) = (engine(), vec![0; batch]);
    for read_out in [ReadOut::SpikeCount, ReadOut::Membrane] {
        let first = images(batch, 1);
        let mut classify = |x: &Array2<f32>| {
            let input = Input::constant(x.view(), 12);
            engine.classify(input, read_out, &mut classes).unwrap();
        };
        assert!(read_out == ReadOut::Membrane || allocations(|| classify(&first)) > 0);
        for n in [1, 2, 4, 6] {
            let x = images(batch, n);
            assert_eq!(
                allocations(|| classify(&x)),
                0,
                "batch {batch}, density {n}"
            );
        }
    }
    let report =
        engine.evaluate(Input::constant(images(batch, 5).view(), 12).classes(&vec![0; batch]));
    assert!(
        report.unwrap().firing_rate.iter().all(|&rate| rate > 0.01),
        "it must fire"
    );
}

#[test]
fn one_image() {
    later_calls_are_silent(1);
}

#[test]
fn a_batch_on_one_thread() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    pool.unwrap().install(|| later_calls_are_silent(33));
}

#[test]
fn a_sequence_on_one_thread() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    pool.unwrap().install(|| {
        let (mut engine, mut classes) = (engine(), vec![0; 5]);
        let x = Array3::from_shape_fn((12, 5, 100), |(t, b, i)| ((t + b + i) % 3) as f32 * 0.4);
        let mut classify = || {
            let input = Input::sequence(x.view());
            engine
                .classify(input, ReadOut::Membrane, &mut classes)
                .unwrap();
        };
        assert!(allocations(&mut classify) > 0);
        assert_eq!(allocations(&mut classify), 0);
    });
}

/// Classes and scores of one image and of a batch, alone.
#[test]
fn a_predictor() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    pool.unwrap().install(|| {
        for batch in [1, 33] {
            let predictor = predictor();
            let (mut classes, mut scores) = (vec![0; batch], Array2::zeros((batch, 10)));
            let mut ask = |n: usize| {
                let x = images(batch, n);
                allocations(|| {
                    let input = Input::constant(x.view(), 12);
                    for by in [ReadOut::SpikeCount, ReadOut::Membrane] {
                        predictor.classify(input, by, &mut classes).unwrap();
                        predictor.scores(input, by, scores.view_mut()).unwrap();
                    }
                })
            };
            assert!(ask(1) > 0);
            for n in [1, 2, 4, 6] {
                assert_eq!(ask(n), 0, "batch {batch}, density {n}");
            }
        }
    });
}

/// Eight threads at once, none of which has waited for another's first call.
#[test]
fn a_predictor_on_many_threads() {
    let (predictor, start) = (predictor(), Barrier::new(8));
    thread::scope(|scope| {
        for thread in 0..8 {
            let (predictor, start) = (predictor.clone(), &start);
            scope.spawn(move || {
                let x = images(1, 3 + thread % 3);
                let (mut class, mut scores) = ([0], Array2::zeros((1, 10)));
                let mut ask = || {
                    let input = Input::constant(x.view(), 12);
                    let by = ReadOut::Membrane;
                    predictor.classify(input, by, &mut class).unwrap();
                    predictor.scores(input, by, scores.view_mut()).unwrap();
                };
                assert!(allocations(&mut ask) > 0);
                start.wait();
                for call in 0..200 {
                    assert_eq!(allocations(&mut ask), 0, "thread {thread}, call {call}");
                }
            });
        }
    });
}
