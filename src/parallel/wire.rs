//! The calls of MPI: each has a bound. A driver module: all of the feature's `unsafe` is here.
//!
//! Messages are sent and received without blocking and tested until they have arrived or the time is over.
//! Memory of a message that has not arrived is never freed, since MPI may still use it.

#![allow(unsafe_code)]

use std::{
    ffi::{c_char, c_int, c_void},
    mem,
    ops::Range,
    process, ptr,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use mpi::{
    environment::{Threading, Universe, initialize_with_threading},
    ffi,
    topology::Communicator,
};

use crate::{Error, Float, Result};

/// Bytes of a message, at most; longer ones are cut, since MPI counts in 32 bits.
const MOST: usize = 1 << 30;

/// A process that waits tests so often before it sleeps between two tests.
const EAGER: u32 = 2000;

/// How long it then sleeps.
const NAP: Duration = Duration::from_micros(50);

/// What a message is for.
const NUMBERS: c_int = 1;
const NOTE: c_int = 2;
const BYTES: c_int = 3;

/// The processes, as MPI sees them.
pub(super) struct Wire {
    /// `None` after a message that has not arrived: MPI then cannot be ended in order.
    universe: Option<Universe>,
    pub rank: usize,
    pub size: usize,
    /// How long to wait for a rank.
    pub bound: Duration,
    /// Bytes sent so far: numbers of the training, and everything else.
    pub sent: [u64; 2],
}

/// Numbers to be sent and the place for those to be received.
pub(super) struct Trade<'a, F> {
    pub from: &'a mut Vec<F>,
    pub send: Range<usize>,
    pub into: &'a mut Vec<F>,
    pub receive: Range<usize>,
}

impl Wire {
    /// Initializes MPI. Its errors are then returned, rather than ending the process.
    pub fn start(bound: Duration) -> Result<Wire> {
        let failed = |reason: &str| Error::Device {
            device: "mpi".into(),
            reason: reason.into(),
        };
        let (universe, threading) =
            initialize_with_threading(Threading::Serialized).ok_or_else(|| {
                failed("MPI has been initialized already, which a process can do once")
            })?;
        if threading < Threading::Serialized {
            return Err(failed(
                "this MPI does not support calls from several threads, one at a time",
            ));
        }
        let world = universe.world();
        // SAFETY: MPI is initialized, and the two handles are its constants.
        unsafe { ffi::MPI_Comm_set_errhandler(ffi::RSMPI_COMM_WORLD, ffi::RSMPI_ERRORS_RETURN) };
        Ok(Wire {
            rank: world.rank() as usize,
            size: world.size() as usize,
            universe: Some(universe),
            bound,
            sent: [0; 2],
        })
    }

    /// Whether every message so far has arrived.
    pub fn is_usable(&self) -> bool {
        self.universe.is_some()
    }

    /// Sends numbers to a rank and receives as many of it. `round` counts the exchanges of a step, see
    /// [`bound_of`](Self::bound_of).
    pub fn trade<F: Float>(&mut self, peer: usize, round: u32, trade: Trade<'_, F>) -> Result<()> {
        let Trade {
            from,
            send,
            into,
            receive,
        } = trade;
        let (out, place) = (bytes_of(&from[send]), bytes_of_mut(&mut into[receive]));
        self.sent[0] += out.1 as u64;
        // SAFETY: both live in vectors that are forgotten, not freed, if a message is still on its way.
        let done = unsafe { self.exchange(peer, NUMBERS, round, Some(out), Some(place)) };
        if done.is_err() {
            mem::forget((mem::take(from), mem::take(into)));
        }
        done
    }

    /// Sends numbers of a vector to a rank and receives as many of it into another part of the vector.
    pub fn trade_within<F: Float>(
        &mut self,
        peer: usize,
        round: u32,
        memory: &mut Vec<F>,
        [send, receive]: [Range<usize>; 2],
    ) -> Result<()> {
        let middle = send.start.max(receive.start);
        let (low, high) = memory.split_at_mut(middle);
        let (out, place) = match send.start < receive.start {
            true => (bytes_of(&low[send]), bytes_of_mut(high)),
            false => (
                bytes_of(&high[..send.len()]),
                bytes_of_mut(&mut low[receive]),
            ),
        };
        self.sent[0] += out.1 as u64;
        let place = (place.0, out.1.min(place.1));
        // SAFETY: the two parts do not overlap; the vector is forgotten if a message is still on its way.
        let done = unsafe { self.exchange(peer, NUMBERS, round, Some(out), Some(place)) };
        if done.is_err() {
            mem::forget(mem::take(memory));
        }
        done
    }

    /// Sends bytes to a rank and receives as many of it.
    pub fn trade_note(&mut self, peer: usize, round: u32, note: &[u8]) -> Result<Vec<u8>> {
        let (out, mut place) = (note.to_vec(), vec![0; note.len()]);
        self.sent[1] += out.len() as u64;
        let [sent, received] = [(out.as_ptr(), out.len()), (place.as_ptr(), place.len())];
        let received = (place.as_mut_ptr(), received.1);
        // SAFETY: both vectors are forgotten, not freed, if a message is still on its way.
        let done = unsafe { self.exchange(peer, NOTE, round, Some(sent), Some(received)) };
        match done {
            Ok(()) => Ok(place),
            Err(error) => {
                mem::forget((out, place));
                Err(error)
            }
        }
    }

    /// Sends any number of bytes to a rank.
    pub fn send(&mut self, peer: usize, bytes: &[u8]) -> Result<()> {
        let length = (bytes.len() as u64).to_le_bytes();
        for part in [&length[..], bytes] {
            let out = part.to_vec();
            self.sent[1] += out.len() as u64;
            // SAFETY: the vector is forgotten, not freed, if the message is still on its way.
            let done =
                unsafe { self.exchange(peer, BYTES, 0, Some((out.as_ptr(), out.len())), None) };
            if let Err(error) = done {
                mem::forget(out);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Receives what a rank has [sent](Self::send).
    pub fn receive(&mut self, peer: usize) -> Result<Vec<u8>> {
        let mut receive = |length: usize| {
            let mut place = vec![0_u8; length];
            // SAFETY: the vector is forgotten, not freed, if the message is still on its way.
            let done = unsafe {
                self.exchange(
                    peer,
                    BYTES,
                    0,
                    None,
                    Some((place.as_mut_ptr(), place.len())),
                )
            };
            match done {
                Ok(()) => Ok(place),
                Err(error) => {
                    mem::forget(place);
                    Err(error)
                }
            }
        };
        let length = receive(8)?;
        let length = u64::from_le_bytes(length.try_into().unwrap_or_default());
        receive(length as usize)
    }

    /// How long to wait in exchange `round` of a step. Who waits for the rank that is missing waits in an
    /// earlier exchange than who waits for a rank that waits itself, and is to be the first to say so.
    fn bound_of(&self, round: u32) -> Duration {
        self.bound + self.bound / 8 * round
    }

    /// Sends and receives bytes, and waits for both.
    ///
    /// # Safety
    /// The memory must be valid for the lengths given, and remain so if this returns an error.
    unsafe fn exchange(
        &mut self,
        peer: usize,
        tag: c_int,
        round: u32,
        send: Option<(*const u8, usize)>,
        receive: Option<(*mut u8, usize)>,
    ) -> Result<()> {
        if self.universe.is_none() {
            return Err(silent(peer, "was given up before"));
        }
        let (out, out_len) = send.unwrap_or((ptr::null(), 0));
        let (place, place_len) = receive.unwrap_or((ptr::null_mut(), 0));
        let parts = out_len.max(place_len).div_ceil(MOST).max(1);
        for part in 0..parts {
            let cut = |len: usize| (part * MOST).min(len)..((part + 1) * MOST).min(len);
            let (from, to) = (cut(out_len), cut(place_len));
            let mut requests = Vec::with_capacity(2);
            if receive.is_some() {
                // SAFETY: `to` is within the memory, which outlives the request.
                let place = unsafe { place.add(to.start) }.cast::<c_void>();
                requests.push(self.post(peer, |request| unsafe {
                    ffi::MPI_Irecv(
                        place,
                        to.len() as c_int,
                        ffi::RSMPI_UINT8_T,
                        peer as c_int,
                        tag,
                        ffi::RSMPI_COMM_WORLD,
                        request,
                    )
                })?);
            }
            if send.is_some() {
                // SAFETY: as above.
                let out = unsafe { out.add(from.start) }.cast::<c_void>();
                requests.push(self.post(peer, |request| unsafe {
                    ffi::MPI_Isend(
                        out,
                        from.len() as c_int,
                        ffi::RSMPI_UINT8_T,
                        peer as c_int,
                        tag,
                        ffi::RSMPI_COMM_WORLD,
                        request,
                    )
                })?);
            }
            self.wait(peer, round, requests)?;
        }
        Ok(())
    }

    /// Starts a message.
    fn post(
        &mut self,
        peer: usize,
        start: impl FnOnce(*mut ffi::MPI_Request) -> c_int,
    ) -> Result<ffi::MPI_Request> {
        // SAFETY: a constant of MPI, which is initialized.
        let mut request = unsafe { ffi::RSMPI_REQUEST_NULL };
        match start(&mut request) {
            0 => Ok(request),
            code => Err(self.give_up(peer, message(code))),
        }
    }

    /// Tests until all messages have arrived, or for as long as the bound allows.
    fn wait(&mut self, peer: usize, round: u32, requests: Vec<ffi::MPI_Request>) -> Result<()> {
        let (started, bound) = (Instant::now(), self.bound_of(round));
        for mut request in requests {
            let mut tests = 0;
            loop {
                let mut flag = 0;
                // SAFETY: a live request; its status is not asked for.
                let code =
                    unsafe { ffi::MPI_Test(&mut request, &mut flag, ffi::RSMPI_STATUS_IGNORE) };
                if code != 0 {
                    return Err(self.give_up(peer, message(code)));
                }
                if flag != 0 {
                    break;
                }
                tests += 1;
                if tests < EAGER {
                    thread::yield_now();
                    continue;
                }
                if started.elapsed() > bound {
                    let what = format!(
                        "does not answer for {:.0} s (rank {} waits for it): it has ended, hangs, or needs \
                         a larger bound",
                        bound.as_secs_f64(),
                        self.rank
                    );
                    return Err(self.give_up(peer, what));
                }
                thread::sleep(NAP);
            }
        }
        Ok(())
    }

    /// MPI is not used any more, nor ended in order, which would wait for the others without a bound.
    fn give_up(&mut self, peer: usize, what: String) -> Error {
        mem::forget(self.universe.take());
        silent(peer, &what)
    }

    /// Ends all processes at once, this one included.
    pub fn abort(&mut self, code: i32) -> ! {
        // SAFETY: MPI has been initialized and is not finalized while there is a `Wire`.
        unsafe { ffi::MPI_Abort(ffi::RSMPI_COMM_WORLD, code) };
        process::exit(code)
    }
}

impl Drop for Wire {
    /// Ends MPI, which waits for the other processes: if that takes longer than the bound, the process ends.
    fn drop(&mut self) {
        let Some(universe) = self.universe.take() else {
            return;
        };
        let what = format!("rank {}: the other processes have not ended", self.rank);
        watched(self.bound, &what, || drop(universe));
    }
}

/// Makes a call of MPI that waits for the other processes: if it takes longer than the bound, this process ends.
fn watched<R>(bound: Duration, what: &str, call: impl FnOnce() -> R) -> R {
    let (done, ended) = mpsc::channel::<()>();
    let message = format!("error: {what} in {:.0} s", bound.as_secs_f64());
    let watch = thread::spawn(move || {
        if let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(bound) {
            eprintln!("{message}");
            process::exit(1);
        }
    });
    let result = call();
    drop(done);
    let _ = watch.join();
    result
}

fn silent(rank: usize, what: &str) -> Error {
    Error::Process {
        rank,
        what: what.into(),
    }
}

/// MPI's text for an error.
fn message(code: c_int) -> String {
    let mut text = vec![0_u8; ffi::MPI_MAX_ERROR_STRING as usize + 1];
    let mut length = 0;
    // SAFETY: the buffer is as long as MPI asks for.
    unsafe { ffi::MPI_Error_string(code, text.as_mut_ptr().cast::<c_char>(), &mut length) };
    text.truncate(length.max(0) as usize);
    format!("MPI reports: {}", String::from_utf8_lossy(&text))
}

/// Numbers as bytes; `Float` is `f32` or `f64`.
fn bytes_of<F: Float>(numbers: &[F]) -> (*const u8, usize) {
    (numbers.as_ptr().cast(), mem::size_of_val(numbers))
}

/// The same, to be overwritten: any bytes are numbers.
fn bytes_of_mut<F: Float>(numbers: &mut [F]) -> (*mut u8, usize) {
    (numbers.as_mut_ptr().cast(), mem::size_of_val(numbers))
}
