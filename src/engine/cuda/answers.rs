//! What the driver's answers mean, and what would help.

use cust::error::CudaError;

use super::driver;

/// What fails where `cuInit` does.
pub const START: &str = "the driver does not start";

/// What failed, the meaning of the driver's answer, what would help, and the answer's number.
pub fn reason(what: &str, error: CudaError) -> String {
    let code = match error {
        CudaError::UnknownError => driver::behind(),
        _ => error as u32,
    };
    let meaning = match code {
        34 => format!(
            "{} is the stub library of the CUDA toolkit, which programs are linked with, not a driver; \
             take it out of LD_LIBRARY_PATH or SPIKEGRAD_CUDA_DRIVER, and install NVIDIA's driver where \
             there is none",
            driver::file()
        ),
        100 => format!("there is no CUDA device; {}", where_devices_are()),
        500 => match driver::absent() {
            Some(name) => format!(
                "{} has no function {name}, so it is no CUDA driver, or too old a one; install a newer \
                 driver",
                driver::file()
            ),
            None => "the driver does not find a kernel that it has loaded; install a newer driver".into(),
        },
        999 if what == START => {
            "the driver gives no reason; often its module nvidia_uvm is not loaded (`nvidia-modprobe -u \
             -c 0`), or to be loaded again after a suspend, or /dev/nvidia-uvm was not passed into the \
             container; the system's log may tell more (`dmesg | grep -i nvrm`)"
                .into()
        }
        700 | 714..=719 => format!(
            "a kernel failed ({error:?}), and the device is lost to this process; start it again, and \
             report this if it happens twice"
        ),
        _ => words(code).map_or_else(|| unknown(code), str::to_owned),
    };
    format!("{what}: {meaning} (CUDA error {code})")
}

/// Where to look for a device that the driver does not show.
pub fn where_devices_are() -> String {
    let visible = match std::env::var_os("CUDA_VISIBLE_DEVICES") {
        Some(value) => format!(
            ", whether CUDA_VISIBLE_DEVICES={} hides it",
            value.display()
        ),
        None => String::new(),
    };
    format!(
        "look whether `nvidia-smi -L` lists one{visible}, whether it is in MIG mode without an instance, \
         and, in a container, whether the GPU was passed in"
    )
}

/// The words for codes that need nothing but words. Those of `cuda.h` that are not here concern what this
/// library does not use: graphics, textures, access between devices, graphs, clusters, kernels that launch
/// kernels.
fn words(code: u32) -> Option<&'static str> {
    Some(match code {
        1 => {
            "the driver does not accept an argument; please report this, with the driver's version"
        }
        2 => {
            "out of device memory; a smaller batch or fewer steps need less, and `nvidia-smi` shows what \
             other processes hold"
        }
        3 => {
            "the driver is not initialized in this process; after a fork, only the child may use the \
             device"
        }
        4 => "the driver is shutting down with the process; drop engines before `main` returns",
        5..=8 => "the profiler that is attached does not allow it; run without a profiler",
        35 | 36 => "the driver is too old for its CUDA library; install a newer driver",
        46 => {
            "the device is unavailable: another process has it for itself, or its compute mode forbids \
             use; `nvidia-smi -q -d COMPUTE,PIDS` tells, and `nvidia-smi -c DEFAULT` lets all in"
        }
        101 => {
            "the driver cannot use a device of this number; `nvidia-smi -L` lists the devices, and a MIG \
             instance is chosen by its UUID in CUDA_VISIBLE_DEVICES"
        }
        102 => "the virtual GPU has no license; start NVIDIA's license client (nvidia-gridd)",
        200 => "the driver cannot read the kernels; install the driver again, or a newer one",
        201 => {
            "the context is not valid; other code of this process may have ended it, as \
             `cudaDeviceReset` does; make a new engine"
        }
        209 => "the driver has no code for this device; install a newer driver",
        214 => {
            "the device's memory had an error that ECC could not correct, and the device is lost to this \
             process; `nvidia-smi -q -d ECC` counts them, and a reset of the GPU may help"
        }
        216 => "another thread has the context for itself; use the device in compute mode DEFAULT",
        218 => {
            "the driver does not compile the kernels; it is too old or broken, install a newer driver"
        }
        220 => {
            "a link between GPUs failed (NVLink), and the device is lost to this process; `nvidia-smi \
             nvlink -e` counts errors, and a reset of the GPUs may help"
        }
        221 => {
            "the driver's compiler for PTX is not there (libnvidia-ptxjitcompiler.so.1); install the \
             whole driver, and pass it into the container if there is one"
        }
        222 => "the driver is too old for this version of PTX; install a newer driver",
        223 => {
            "the driver's compiler for PTX is switched off; unset CUDA_DISABLE_PTX_JIT and \
             CUDA_DISABLE_JIT"
        }
        224 => {
            "the device cannot be shared in parts as asked for; unset CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"
        }
        226 => {
            "an error was contained on the device, which is lost to this process; start it again"
        }
        300 => "the driver takes the kernels' source for wrong; install a newer driver",
        301 => "the driver does not find a file of its own; install the driver again",
        302 => "the driver's libraries are of different versions; install the driver again",
        303 => "a library of the driver does not start; install the driver again",
        304 => {
            "the operating system refused the driver a call; look whether this user may open \
             /dev/nvidia*, and whether `ulimit -v` leaves it address space"
        }
        400 => "the driver does not know a handle; please report this, with the driver's version",
        401 => "something of the driver is in the wrong state; please report this",
        600 => "the device has not finished; try again",
        701 => {
            "the device has too few registers or too little memory for a launch; please report this"
        }
        702 => {
            "a kernel took longer than the display's watchdog allows, and the device is lost to this \
             process; use a smaller batch, or a GPU without a display"
        }
        708 => "the context is in use with other flags; open the engine before other CUDA code",
        709 => {
            "the context was ended by other code of this process, as `cudaDeviceReset` does, and what the \
             engine had on the device is lost; make a new engine"
        }
        710 => {
            "an assertion in a kernel failed, and the device is lost to this process; start it again"
        }
        800 => "this user or this container may not do it; ask who administers the machine",
        801 => "the device or the system does not support it; use another device, or the CPU",
        802 => {
            "the system is not ready for CUDA; where GPUs are joined by NVSwitch, the service \
             nvidia-fabricmanager must run"
        }
        803 => {
            "the driver's library and its kernel module are of different versions; reboot after an update \
             of the driver, and in a container do not install a driver"
        }
        804 => {
            "the system's driver is too old for the CUDA library, and this device does not bridge the gap; \
             install a newer driver, or take the folder of cuda-compat out of LD_LIBRARY_PATH"
        }
        805 => {
            "the MPS daemon does not answer; start nvidia-cuda-mps-control, or unset CUDA_MPS_PIPE_DIRECTORY"
        }
        806 => "the call to the MPS server failed; its log says why (CUDA_MPS_LOG_DIRECTORY)",
        807 => {
            "the MPS server is not ready; it may be recovering from a failure, try again in a minute"
        }
        808 => "the MPS server has as many clients as it takes; end other processes",
        809 => "the MPS server has as many connections as it takes; end other processes",
        810 => "the MPS server has ended this process's use of the device; start it again",
        900 | 906 => {
            "other code of this process is capturing a CUDA graph, during which this is not allowed; run \
             the engine before or after, or capture in mode THREAD_LOCAL"
        }
        901..=905 | 907 | 908 => {
            "the capture of a CUDA graph by other code of this process came in between; run the engine \
             before or after it"
        }
        909 => "the device did not answer in time; try again",
        911 => {
            "a device beside the GPU reported an error, and the GPU is lost to this process; start it \
             again"
        }
        913 => "a kernel is not loaded; please report this, with the driver's version",
        916 => "the device's keys could not be exchanged (confidential computing); try again",
        999 => {
            "the driver gives no reason; the system's log may (`dmesg | grep -i nvrm`), and where a device \
             is lost, a restart of the machine helps"
        }
        _ => return None,
    })
}

/// What the driver says itself of a code that has no words here.
fn unknown(code: u32) -> String {
    match driver::words(code) {
        Some(words) => format!("the driver says: {words}; please report this"),
        None => "an answer that spikegrad does not know; look it up in NVIDIA's cuda.h".into(),
    }
}
