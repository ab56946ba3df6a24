//! The programs' static memory: who gets it.

// A static is lent out, once.
#![allow(unsafe_code)]

use core::cell::{Cell, UnsafeCell};

use critical_section::Mutex;

/// A static that is lent to one borrower, for ever.
#[derive(Debug)]
pub struct Once<T> {
    taken: Mutex<Cell<bool>>,
    value: UnsafeCell<T>,
}

// Safety: the value is reached through `take` alone, which gives it to the first who asks.
unsafe impl<T: Send> Sync for Once<T> {}

impl<T> Once<T> {
    /// Not yet lent.
    pub const fn new(value: T) -> Self {
        Self { taken: Mutex::new(Cell::new(false)), value: UnsafeCell::new(value) }
    }

    /// The value for the first who asks, `None` for any other.
    // From a shared reference, as every static is, and once only.
    #[allow(clippy::mut_from_ref)]
    pub fn take(&'static self) -> Option<&'static mut T> {
        let taken = critical_section::with(|section| self.taken.borrow(section).replace(true));
        // Safety: where `taken` was unset, no other reference exists, and none will.
        (!taken).then(|| unsafe { &mut *self.value.get() })
    }
}
