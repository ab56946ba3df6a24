//! The C interface of `certus-engine`: a static library, and the headers of `include`.
//!
//! `engine/ffi/README.md` is its page. Every function begins with `certus_v1_`; a change that breaks
//! a caller gets another number, and the old names stay.
//!
//! * `model`: a blob, checked, as a handle. `bounds`: what is proved of it.
//! * `setup`, `monitor`: the run-time monitor.
//! * `question`: regions and specifications as C writes them; `status`: what went wrong.
//! * `memory`: the checks that stand before each pointer's use.
//!
//! # Safety
//! This crate alone of the project has `unsafe` in it. Every function is safe to call if
//!
//! * each pointer is NULL, misaligned, or points at as many entries as the length beside it says (one,
//!   where there is none), of which those that are `const` have been written;
//! * what a handle was opened on (the blob; the setup's arrays and the memory of a monitor) is alive,
//!   where it was, and not written by others, for as long as the handle is used;
//! * no two calls that write the same memory or the same monitor run at once.
//!
//! What can be checked is: NULL, alignment, lengths, overlaps, and whether a handle was opened where it
//! lies. All of that is refused before anything is dereferenced.
#![no_std]
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)]
// A length that wraps must not become a pointer. Arithmetic says what it does then, so that no
// overflow check, which would be a panic, has to.
#![deny(clippy::arithmetic_side_effects)]

// For its panic handler only.
#[cfg(not(feature = "bare-metal"))]
extern crate std;

mod bounds;
mod memory;
mod model;
mod monitor;
mod question;
mod setup;
mod status;

pub use bounds::*;
pub use model::*;
pub use monitor::*;
pub use question::{Method, Region, Semantics, Shape, Spec, SpecKind};
pub use setup::*;
pub use status::Status;

/// Stops. Nothing here panics; the compiler wants a handler all the same.
#[cfg(feature = "bare-metal")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
