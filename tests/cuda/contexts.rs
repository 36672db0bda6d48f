//! The engine beside other CUDA code: what contexts a thread has is the thread's own affair.

use cust::context::{
    Context,
    legacy::{self, ContextFlags, ContextStack, CurrentContext},
};

use super::{faults::*, *};

/// The context that is current on this thread; all zeros if there is none.
fn current() -> String {
    format!("{:?}", CurrentContext::get_current().unwrap())
}

/// Every method of an engine, where it succeeds and where it fails, leaves the thread's contexts as they
/// were: whether there is none, or one of another device on top of others.
#[test]
fn a_thread_keeps_its_contexts() {
    if !device() {
        return;
    }
    let output = run_child_as("contexts::child", &[("DEVICES", "2")]);
    assert!(output.contains("undisturbed"), "{output}");
}

/// What a child process of [`a_thread_keeps_its_contexts`] does.
#[test]
fn child() {
    if !is_child() {
        return;
    }
    cust::init(cust::CudaFlags::empty()).unwrap();
    let none = current();
    use_all(&none);
    // A context on top of a stack of two, as another library may make it.
    let last = cust::device::Device::num_devices().unwrap() - 1;
    let other = cust::device::Device::get_device(last).unwrap();
    let below = legacy::Context::create_and_push(ContextFlags::SCHED_AUTO, other).unwrap();
    let name_below = current();
    let above = legacy::Context::create_and_push(ContextFlags::SCHED_AUTO, other).unwrap();
    let name_above = current();
    assert!(none != name_below && name_below != name_above);
    use_all(&name_above);
    ContextStack::pop().unwrap();
    assert_eq!(current(), name_below);
    ContextStack::pop().unwrap();
    assert_eq!(current(), none);
    drop((below, above));
    println!("undisturbed");
}

/// Makes engines on device 0, has them do all they can, and drops them. `before` must be current throughout.
fn use_all(before: &str) {
    let check = |what: &str| assert_eq!(current(), before, "{what}");
    check("at first");
    assert!(matches!(Device::Auto.resolve().0, Device::Cuda(0)));
    check("resolve");
    assert!(CudaEngine::new(99, network(), objective(), Adam::new(1e-3)).is_err());
    check("no such device");

    let x = images(4, 21);
    let (input, targets) = (Input::constant(x.view(), 6), targets(4, 5));
    let own = before.to_owned();
    let custom = Loss::custom(move |recording: &Recording, targets: Targets<'_>| {
        assert_eq!(current(), own, "in a custom loss");
        Loss::CrossEntropyMembrane.evaluate(recording, targets)
    });
    for loss in [Loss::CrossEntropyMembrane, custom] {
        let mut engine = engine(network(), loss, Adam::new(1e-3));
        check("new");
        engine.prefetch(input.classes(&targets)).unwrap();
        check("prefetch");
        engine.train_step(input.classes(&targets)).unwrap();
        check("train_step");
        engine.measure_gradients(true);
        let report = engine.train_step(input.classes(&targets)).unwrap();
        assert!(report.gradient_norms.is_some());
        engine.measure_gradients(false);
        check("measured step");
        engine.evaluate(input.classes(&targets)).unwrap();
        check("evaluate");
        engine.gradients(input.classes(&targets)).unwrap();
        check("gradients");
        engine.forward(input, &Record::All).unwrap();
        check("forward");
        let mut classes = vec![0; 4];
        let read_out = ReadOut::SpikeCount;
        engine.classify(input, read_out, &mut classes).unwrap();
        check("classify");
        engine.to_network().unwrap();
        check("network");
        engine.to_optimizer().unwrap();
        check("optimizer");
        assert!(engine.train_step(input.classes(&[9; 4])).is_err());
        check("wrong targets");
        drop(engine);
        check("dropped");
    }

    // A loss and gradients that are not finite are looked for in the passes' arrays.
    for tensor in ["fc1.weight", "fc3.weight"] {
        let mut network = network();
        for (name, mut values) in network.parameters_mut() {
            if name == tensor {
                values.fill(3e38);
            }
        }
        let mut engine = engine(network, Loss::CrossEntropyMembrane, Adam::new(1e-3));
        assert!(engine.train_step(input.classes(&targets)).is_err());
        check("not finite");
    }
    check("dropped after an error");
}

/// The primary context is let go of with the last engine, and not before.
#[test]
fn the_last_engine_releases_the_context() {
    if !software_driver() {
        return;
    }
    let output = run_child_as("contexts::released", &[]);
    assert!(output.contains("released"), "{output}");
}

/// What a child process of [`the_last_engine_releases_the_context`] does.
#[test]
fn released() {
    if !is_child() {
        return;
    }
    cust::init(cust::CudaFlags::empty()).unwrap();
    // The software driver never makes two contexts with the same handle.
    let primary = || {
        let device = cust::device::Device::get_device(0).unwrap();
        let context = Context::new(device).unwrap();
        ContextStack::pop().unwrap();
        format!("{:?}", context.as_raw())
    };
    let x = images(3, 21);
    let (input, targets) = (Input::constant(x.view(), 5), targets(3, 5));
    let mut first = engine(network(), objective(), Adam::new(1e-3));
    let handle = primary();
    let mut second = engine(network(), objective(), Adam::new(1e-3));
    first.train_step(input.classes(&targets)).unwrap();
    drop(first);
    assert_eq!(primary(), handle);
    second.train_step(input.classes(&targets)).unwrap();
    assert_eq!(primary(), handle);
    // On another thread than the one that made it.
    std::thread::spawn(move || drop(second)).join().unwrap();
    assert_ne!(primary(), handle);
    println!("released");
}
