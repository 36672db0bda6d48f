//! One model, many callers: a `Predictor` asked from rayon tasks that have work of their own, from nested
//! pools, plain threads and futures, with the bits of the engine that it was made from.
//!
//! An engine behind a mutex hangs under this load: a thread that waits for the engine's own work takes
//! another task, which waits for the mutex that the thread holds.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, mpsc},
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use ndarray::{Array2, Array3, Axis, s};
use rayon::prelude::*;
use spikegrad::{
    Adam, CpuEngine, Device, Engine, Error, Input, Leaky, Loss, Network, Predictor, ReadOut,
    Record, Recording, ReferenceEngine,
};

/// Long enough for a busy machine; a deadlock lasts for ever.
const PATIENCE: Duration = Duration::from_secs(600);

const STEPS: usize = 25;

fn network() -> Network {
    let builder = Network::builder(784)
        .layer(1000, Leaky::new(0.95))
        .layer(10, Leaky::new(0.95));
    builder.seed(5).build().expect("a network")
}

fn engine() -> CpuEngine {
    CpuEngine::new(network(), Loss::CrossEntropyMembrane, Adam::new(1e-3)).expect("an engine")
}

/// `[256, 784]`
fn images() -> Array2<f32> {
    let pixel = |b: usize, n: usize| ((b * 7 + n * 3) % 11) as f32 / 11.0;
    Array2::from_shape_fn((256, 784), |(b, n)| match (b + n / 5) % 3 {
        0 => pixel(b, n),
        _ => 0.0,
    })
}

/// What an engine answers, alone.
struct Expected {
    x: Array2<f32>,
    classes: Vec<usize>,
    scores: Array2<f32>,
    recording: Recording,
}

impl Expected {
    /// That of this file's network, made once.
    fn get() -> &'static Expected {
        static EXPECTED: OnceLock<Expected> = OnceLock::new();
        EXPECTED.get_or_init(|| {
            let (mut engine, x) = (engine(), images());
            let input = Input::constant(x.view(), STEPS);
            let (mut classes, mut scores) = (vec![0; 256], Array2::zeros((256, 10)));
            let by = ReadOut::Membrane;
            engine.classify(input, by, &mut classes).expect("it fits");
            let all = scores.view_mut();
            engine.scores(input, by, all).expect("it fits");
            let recording = engine.forward(input, &Record::All).expect("it fits");
            let rate = recording.trace(1).expect("kept").firing_rate();
            assert!(rate > 0.01, "it fires: {rate}");
            assert!(classes.iter().any(|&class| class != classes[0]));
            Expected {
                x,
                classes,
                scores,
                recording,
            }
        })
    }

    fn input(&self) -> Input<'_> {
        Input::constant(self.x.view(), STEPS)
    }

    /// A whole batch, by class.
    fn ask(&self, predictor: &Predictor) {
        let mut classes = [0; 256];
        let answer = predictor.classify(self.input(), ReadOut::Membrane, &mut classes);
        answer.expect("the input fits");
        assert_eq!(classes[..], self.classes);
    }

    /// One image, by its scores.
    fn ask_one(&self, predictor: &Predictor, n: usize) {
        let x = self.x.slice(s![n..=n, ..]);
        let mut scores = Array2::zeros((1, 10));
        let input = Input::constant(x, STEPS);
        let answer = predictor.scores(input, ReadOut::Membrane, scores.view_mut());
        answer.expect("the input fits");
        assert_eq!(scores.row(0), self.scores.row(n));
    }
}

/// Work of the caller's own.
fn work(n: usize) {
    let sum: f64 = (0..n * 20_000).map(|k| (k as f64).sqrt()).sum();
    std::hint::black_box(sum);
}

/// A batch, or one image, between work that takes now shorter, now longer.
fn task(predictor: &Predictor, i: usize) {
    let expected = Expected::get();
    work(i * 7919 % 13);
    match i % 3 {
        0 => expected.ask_one(predictor, i % 256),
        _ => expected.ask(predictor),
    }
    work(i * 104_729 % 29);
}

/// Runs `load`, and fails where it does not end.
fn ends(load: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let thread = thread::spawn(move || {
        load();
        let _ = done.send(());
    });
    match wait.recv_timeout(PATIENCE) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        _ => thread.join().expect("the answers are right"),
    }
}

fn pool(threads: usize) -> rayon::ThreadPool {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.expect("a pool")
}

fn assert_shared<T: Send + Sync + Clone + 'static>(_: &T) {}

#[test]
fn tasks_of_the_global_pool() {
    let predictor = Predictor::new(&network());
    assert_shared(&predictor);
    ends(move || (0..300).into_par_iter().for_each(|i| task(&predictor, i)));
}

#[test]
fn tasks_of_a_pool_of_their_own() {
    let predictor = Predictor::new(&network());
    ends(move || pool(4).install(|| (0..300).into_par_iter().for_each(|i| task(&predictor, i))));
}

/// Each call enters a second pool, the work of which is shared out there; and tasks within tasks.
#[test]
fn tasks_that_enter_another_pool() {
    let predictor = Predictor::new(&network());
    ends(move || {
        let inner = pool(3);
        pool(4).install(|| {
            (0..300).into_par_iter().for_each(|i| match i % 2 {
                0 => inner.install(|| task(&predictor, i)),
                _ => drop(rayon::join(|| task(&predictor, i), || work(i % 7))),
            });
        });
    });
}

#[test]
fn plain_threads() {
    let predictor = Predictor::new(&network());
    ends(move || {
        let threads: Vec<_> = (0..8)
            .map(|first| {
                let clone = predictor.clone();
                let mine = (first..300).step_by(8);
                thread::spawn(move || mine.for_each(|i| task(&clone, i)))
            })
            .collect();
        for thread in threads {
            thread.join().expect("the answers are right");
        }
    });
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Futures that give way before each call, on the four threads of a small runtime.
#[test]
fn futures_on_a_runtime() {
    async fn give_way() {
        let mut ready = false;
        poll_fn(|cx| match std::mem::replace(&mut ready, true) {
            true => Poll::Ready(()),
            false => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await;
    }
    let predictor = Predictor::new(&network());
    ends(move || {
        let tasks = (0..300).map(|i| -> Task {
            let clone = predictor.clone();
            Box::pin(async move {
                give_way().await;
                task(&clone, i);
                give_way().await;
            })
        });
        let queue: Arc<Mutex<Vec<Task>>> = Arc::new(Mutex::new(tasks.collect()));
        let runtime = (0..4).map(|_| {
            let queue = queue.clone();
            thread::spawn(move || {
                let next = || queue.lock().expect("no panic while it is held").pop();
                while let Some(mut task) = next() {
                    let mut context = Context::from_waker(Waker::noop());
                    if task.as_mut().poll(&mut context).is_pending() {
                        queue.lock().expect("as above").insert(0, task);
                    }
                }
            })
        });
        for thread in runtime.collect::<Vec<_>>() {
            thread.join().expect("the answers are right");
        }
    });
}

/// From an engine, boxed or not, trained: its parameters as they are now, which later training does not
/// change.
#[test]
fn a_predictor_keeps_what_its_engine_had_learnt() {
    let expected = Expected::get();
    let x = expected.x.slice(s![..64, ..]);
    let (input, targets) = (Input::constant(x, STEPS), [3; 64]);
    let mut engine = Device::Cpu
        .engine(network(), Loss::CrossEntropyMembrane, Adam::new(1e-2))
        .expect("an engine");
    let untrained = Predictor::from_engine(&mut *engine).expect("a predictor");
    engine
        .train_step(input.classes(&targets))
        .expect("it trains");
    let trained = Predictor::from_engine(&mut *engine).expect("a predictor");
    assert_eq!(*trained.network(), engine.to_network().expect("a network"));
    let recorded = engine.forward(input, &Record::All).expect("it fits");
    let found = trained.forward(input, &Record::All).expect("it fits");
    assert_eq!(found, recorded);
    assert_ne!(found, expected.recording);

    let whole = untrained.forward(expected.input(), &Record::All);
    assert_eq!(whole.expect("it fits"), expected.recording);
    expected.ask(&untrained);

    let adam = Adam::new(1e-3);
    let mut reference =
        ReferenceEngine::new(network(), Loss::CrossEntropyMembrane, adam).expect("an engine");
    let predictor = Predictor::from_engine(&mut reference).expect("a predictor");
    expected.ask(&predictor);
}

/// What does not fit is refused in the words of an engine, and the next call is as good as any.
#[test]
fn what_does_not_fit_is_refused() {
    let expected = Expected::get();
    let (predictor, mut engine) = (Predictor::new(&network()), engine());
    let same = |found: Result<(), Error>, expected: Result<(), Error>| {
        let found = found.expect_err("it does not fit").to_string();
        assert_eq!(found, expected.expect_err("as little").to_string());
        found
    };
    let by = ReadOut::SpikeCount;
    let mut nan = expected.x.clone();
    nan[[200, 100]] = f32::NAN;
    let narrow = Array2::<f32>::zeros((3, 783));
    let empty = Array2::<f32>::zeros((0, 784));
    for (x, steps, says) in [
        (&nan, STEPS, "input is NaN at sample 200, input 100"),
        (&narrow, STEPS, "input has shape [3, 783]"),
        (&empty, STEPS, "batch size is 0"),
        (&expected.x, 0, "num_steps is 0"),
    ] {
        let input = Input::constant(x.view(), steps);
        let mut classes = vec![0; x.nrows()];
        let mut scores = Array2::zeros((x.nrows(), 10));
        let found = same(
            predictor.classify(input, by, &mut classes),
            engine.classify(input, by, &mut classes),
        );
        assert!(found.starts_with(says), "{found}");
        let found = same(
            predictor.scores(input, by, scores.view_mut()),
            engine.scores(input, by, scores.view_mut()),
        );
        assert!(found.starts_with(says), "{found}");
        same(
            predictor.forward(input, &Record::Output).map(drop),
            engine.forward(input, &Record::Output).map(drop),
        );
    }
    let input = expected.input();
    let few = same(
        predictor.classify(input, by, &mut [0; 255]),
        engine.classify(input, by, &mut [0; 255]),
    );
    assert!(few.starts_with("classes has shape [255]"), "{few}");
    let mut turned = Array2::zeros((10, 256));
    let other = same(
        predictor.scores(input, by, turned.view_mut()),
        engine.scores(input, by, turned.view_mut()),
    );
    let says = "scores has shape [10, 256]; expected [B, N] = [256, 10]";
    assert!(other.starts_with(says), "{other}");
    let layers = Record::Layers(vec![3]);
    same(
        predictor.forward(input, &layers).map(drop),
        engine.forward(input, &layers).map(drop),
    );
    let missing = Predictor::with_instruction_set(&network(), "abacus");
    let missing = missing.expect_err("there is none").to_string();
    assert!(
        missing.starts_with("instruction set is abacus"),
        "{missing}"
    );

    // Scores in any layout: here the transpose.
    let by = ReadOut::Membrane;
    let answer = predictor.scores(input, by, turned.view_mut().reversed_axes());
    answer.expect("it fits");
    assert_eq!(turned.t(), expected.scores);
    expected.ask(&predictor);
}

/// A sequence, dense and sparse, in parts of a batch as well.
#[test]
fn sequences() {
    let network = network();
    let (predictor, mut engine) = (Predictor::new(&network), engine());
    for modulus in [2, 9] {
        let x = Array3::from_shape_fn((12, 40, 784), |(t, b, n)| {
            match (3 * t + 5 * b + 7 * n) % modulus {
                0 => 0.9,
                1 if modulus == 2 => -0.2,
                _ => 0.0,
            }
        });
        let input = Input::sequence(x.view());
        let expected = engine.forward(input, &Record::All).expect("it fits");
        let found = predictor.forward(input, &Record::All).expect("it fits");
        assert!(expected.trace(1).expect("kept").firing_rate() > 0.001);
        assert_eq!(found, expected);
        for by in [ReadOut::SpikeCount, ReadOut::Membrane] {
            let mut scores = Array2::zeros((40, 10));
            let answer = predictor.scores(input, by, scores.view_mut());
            answer.expect("it fits");
            assert_eq!(scores, expected.scores(by));
        }
        let count = expected.output().spk.sum_axis(Axis(0));
        assert_eq!(expected.scores(ReadOut::SpikeCount), count);
    }
}

#[test]
fn a_predictor_tells_what_it_is_without_its_weights() {
    let text = format!("{:?}", Predictor::new(&network()));
    assert!(
        text.contains("[784, 1000, 10]") && text.len() < 120,
        "{text}"
    );
}
