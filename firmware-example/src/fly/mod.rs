//! A network that flies a simulated quadrotor behind the run-time monitor, and faults that it is given.
//!
//! Also a module of the host's tests, so that both run the same code.

pub mod control;
pub mod flight;
pub mod memory;
pub mod plant;
pub mod policy;
pub mod promise;
pub mod sensors;
pub mod show;
pub mod table;
