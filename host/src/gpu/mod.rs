//! GPUs, by wgpu: which there are, which may be believed, and running kernels on them.
//!
//! Nothing outside this module knows wgpu. A device is asked for a verdict only after
//! [`qualify`](qualify::qualify) has measured that its arithmetic is what the bounds assume
//! (`soundness.md` 2 and 7).
//!
//! * [`adapter`]: the adapters that the system offers, and the choice among them.
//! * [`device`]: an open device, and a kernel run on it once.
//! * [`mod@qualify`]: the probes.

pub mod adapter;
pub mod device;
pub mod probes;
pub mod qualify;

pub use adapter::{About, Adapters};
pub use device::{Argument, Buffer, Device, Fault, Tape};
pub use qualify::{Measured, Refusal, qualify};
