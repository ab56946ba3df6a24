//! The control loop of `firmware-example` on the host: the bits that it gives on each target, and
//! random faults.

mod bugs;
mod faults;
mod golden;

// Of these the loop uses a part.
#[path = "../../../firmware-example/src/bits.rs"]
#[allow(dead_code)]
mod bits;
#[path = "../../../firmware-example/src/fly/mod.rs"]
#[allow(dead_code)]
mod fly;
#[path = "../../../firmware-example/src/nets.rs"]
#[allow(dead_code)]
mod nets;
