//! Streams and events. Work is done before a call returns, so waiting is only a check, and something
//! that [`order`](super::order) learns from.

use std::ffi::{c_int, c_uint, c_void};
use std::time::Instant;

use super::state::{Driver, Event, Handle, Needs, Stream, enter};
use super::{entries, put};
use crate::error::Code;
use crate::memory::uses::Clock;

/// `cudaEventDisableTiming`
const NO_TIMING: c_uint = 2;

impl Driver {
    /// Refuses a stream that does not exist; 0, 1 and 2 are the default streams.
    pub fn stream(&mut self, stream: Handle) -> Result<(), Code> {
        if stream <= 2 || self.streams.contains_key(&stream) {
            return Ok(());
        }
        self.refuse(
            Code::ERROR_INVALID_HANDLE,
            format!("there is no stream {stream:#x}"),
        )
    }

    fn event(&mut self, event: Handle) -> Result<&mut Event, Code> {
        if !self.events.contains_key(&event) {
            return self.refuse(
                Code::ERROR_INVALID_HANDLE,
                format!("there is no event {event:#x}"),
            );
        }
        self.events
            .get_mut(&event)
            .ok_or(Code::ERROR_INVALID_HANDLE)
    }

    fn new_stream(&mut self, flags: c_uint, priority: c_int) -> Result<Handle, Code> {
        if flags > 1 {
            return Err(Code::ERROR_INVALID_VALUE);
        }
        let device = self.device()?;
        let handle = self.handle();
        self.streams.insert(
            handle,
            Stream {
                flags,
                priority,
                device,
            },
        );
        Ok(handle)
    }
}

entries! {
    fn cuStreamCreate(stream: *mut Handle, flags: c_uint) needs Context |driver| {
        let handle = driver.new_stream(flags, 0)?;
        put(stream, handle)
    };
    fn cuStreamCreateWithPriority(stream: *mut Handle, flags: c_uint, priority: c_int) needs Context |driver| {
        let handle = driver.new_stream(flags, priority)?;
        put(stream, handle)
    };
    fn cuStreamDestroy_v2(stream: Handle) needs Cleanup |driver| {
        match driver.streams.remove(&stream) {
            Some(_) => Ok(()),
            None => driver.stream(stream.max(3)),
        }
    };
    fn cuStreamSynchronize(stream: Handle) needs Context |driver| {
        driver.transfers.synchronisations += 1;
        driver.stream(stream)?;
        driver.wait_for(stream);
        Ok(())
    };
    fn cuStreamQuery(stream: Handle) needs Context |driver| {
        driver.stream(stream)?;
        driver.wait_for(stream);
        Ok(())
    };
    fn cuStreamGetFlags(stream: Handle, flags: *mut c_uint) needs Context |driver| {
        driver.stream(stream)?;
        put(flags, driver.streams.get(&stream).map_or(0, |stream| stream.flags))
    };
    fn cuStreamGetPriority(stream: Handle, priority: *mut c_int) needs Context |driver| {
        driver.stream(stream)?;
        put(priority, driver.streams.get(&stream).map_or(0, |stream| stream.priority))
    };
    fn cuStreamGetCtx(stream: Handle, context: *mut Handle) needs Context |driver| {
        driver.stream(stream)?;
        put(context, driver.current().unwrap_or(0))
    };
    fn cuStreamWaitEvent(stream: Handle, event: Handle, flags: c_uint) needs Context |driver| {
        if flags != 0 {
            return Err(Code::ERROR_INVALID_VALUE);
        }
        driver.stream(stream)?;
        let reached = driver.event(event)?.reached.clone();
        driver.stream_waits(stream, &reached);
        Ok(())
    };
    fn cuEventCreate(event: *mut Handle, flags: c_uint) needs Context |driver| {
        let device = driver.device()?;
        let handle = driver.handle();
        driver.events.insert(handle, Event { flags, recorded: None, reached: Clock::default(), device });
        put(event, handle)
    };
    fn cuEventDestroy_v2(event: Handle) needs Cleanup |driver| {
        driver.event(event)?;
        driver.events.remove(&event);
        Ok(())
    };
    fn cuEventRecord(event: Handle, stream: Handle) needs Context |driver| {
        driver.stream(stream)?;
        let reached = driver.reached(stream);
        let event = driver.event(event)?;
        (event.recorded, event.reached) = (Some(Instant::now()), reached);
        Ok(())
    };
    fn cuEventQuery(event: Handle) needs Context |driver| {
        let reached = driver.event(event)?.reached.clone();
        driver.host_waits(&reached);
        Ok(())
    };
    fn cuEventSynchronize(event: Handle) needs Context |driver| {
        driver.transfers.synchronisations += 1;
        let reached = driver.event(event)?.reached.clone();
        driver.host_waits(&reached);
        Ok(())
    };
    fn cuEventElapsedTime(milliseconds: *mut f32, start: Handle, end: Handle) needs Context |driver| {
        let mut times = [None; 2];
        for (time, event) in times.iter_mut().zip([start, end]) {
            let event = driver.event(event)?;
            if event.flags & NO_TIMING != 0 {
                return driver.refuse(Code::ERROR_INVALID_HANDLE, "an event without timing has no time");
            }
            *time = event.recorded;
        }
        match times {
            [Some(start), Some(end)] => {
                let elapsed = end.saturating_duration_since(start);
                put(milliseconds, elapsed.as_secs_f32() * 1e3)
            }
            _ => driver.refuse(Code::ERROR_INVALID_HANDLE, "an event was never recorded"),
        }
    };
}

/// A function of the caller, run before the call returns, without the driver's lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuLaunchHostFunc(
    stream: Handle,
    function: Option<unsafe extern "C" fn(*mut c_void)>,
    data: *mut c_void,
) -> Code {
    let code = enter("cuLaunchHostFunc", Needs::Context, |driver| {
        driver.stream(stream)
    });
    let Some(function) = function else {
        return Code::ERROR_INVALID_VALUE;
    };
    if code == Code::SUCCESS {
        // SAFETY: the caller promises that the function may be called once with its data.
        unsafe { function(data) };
    }
    code
}

type StreamCallback = unsafe extern "C" fn(Handle, Code, *mut c_void);

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuStreamAddCallback(
    stream: Handle,
    callback: Option<StreamCallback>,
    data: *mut c_void,
    _flags: c_uint,
) -> Code {
    let code = enter("cuStreamAddCallback", Needs::Context, |driver| {
        driver.stream(stream)
    });
    let Some(callback) = callback else {
        return Code::ERROR_INVALID_VALUE;
    };
    if code == Code::SUCCESS {
        // SAFETY: the caller promises that the function may be called once with its data.
        unsafe { callback(stream, Code::SUCCESS, data) };
    }
    code
}
