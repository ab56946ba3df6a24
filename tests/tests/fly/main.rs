//! The control loop of `firmware-example` on the host: the bits that it gives on each target, and
//! random faults.

mod bugs;
mod faults;
mod golden;

#[path = "../../../firmware-example/src/fly/mod.rs"]
#[allow(dead_code)]
mod fly;
#[path = "../../../firmware-example/src/hash.rs"]
mod hash;
#[path = "../../../firmware-example/src/random.rs"]
mod random;
