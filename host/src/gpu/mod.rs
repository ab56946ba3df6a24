//! GPUs, by wgpu: which there are, which may be believed, and running kernels on them.
//!
//! Nothing outside this module knows wgpu. A device is asked for a verdict only after
//! [`qualify`](qualify::qualify) has measured that its arithmetic is what the bounds assume
//! (`soundness.md` 2 and 7).
//!
//! * [`adapter`]: the adapters that the system offers, and the choice among them.
//! * [`device`]: an open device, its memory, and kernels run on it.
//! * [`mod@qualify`]: whether a device's arithmetic may be believed, by the [`probes`];
//!   [`cache`] keeps what they found.
//! * [`crown`]: CROWN for a batch, with its sizes ([`shape`]), weights ([`net`]) and memory ([`memory`]);
//!   [`curved`]: the lines that the host chooses; `forward`: the classes;
//!   `slopes` goes on to alpha-CROWN.
//! * [`climb`]: PGD, from many starts for each sample of a batch.
//! * [`faces`]: the simplex certificate for a batch, in the same memory.
//! * [`ahead`]: a device that answers samples ahead of the threads that ask, a stage of a plan; what its search
//!   for slopes proves is another ([`Searched`]).
//! * [`trouble`]: faults that tests plant in a device.

pub mod adapter;
pub mod ahead;
pub mod cache;
pub mod climb;
pub mod crown;
pub mod curved;
pub mod device;
pub mod faces;
#[cfg(test)]
mod faults;
mod forward;
pub mod memory;
pub mod net;
pub mod probes;
pub mod qualify;
mod searched;
pub mod shape;
mod slopes;
pub mod trouble;

pub use adapter::{About, Adapters};
pub use ahead::{Ahead, Asked, Job, Profiled, Searching};
pub use cache::Cache;
pub use climb::{Goal, Peak};
pub use crown::{Crown, Margins, Sample};
pub use device::{Argument, Buffer, Device, Fault, Profile, Tape};
pub use faces::{Clear, Faces};
pub use memory::Capacity;
pub use net::Unfit;
pub use qualify::{Measured, Refusal, qualify};
pub use searched::Searched;
pub use slopes::Bounds;
pub use trouble::Troubles;
