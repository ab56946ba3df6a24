//! How deep the stack was used: paint what is free, run, look where the paint ends.

// Free stack is nobody's, so that no reference to it exists: pointers it is.
#![allow(unsafe_code)]

use core::ptr;

/// What free stack is painted with.
const PAINT: u32 = 0xC0DE_FA11;
/// Words left alone below the painter's own frame.
const SPARED: usize = 32;
/// Most words that are painted.
const MOST: usize = 16 * 1024;

unsafe extern "C" {
    /// Where the linker's script ends the data: the stack may grow down to here.
    static mut __sheap: u32;
}

/// The deepest that a call went, in bytes below its caller's frame; `None` if it used all of the
/// stack that was painted.
///
/// Give or take the few words that painting itself leaves alone.
#[inline(never)]
pub fn depth(f: impl FnOnce()) -> Option<usize> {
    let mut here = 0u32;
    let top = (&raw mut here).wrapping_sub(SPARED);
    let bottom = (&raw mut __sheap).wrapping_add(1);
    let free = (top as usize).saturating_sub(bottom as usize) / size_of::<u32>();
    let painted = free.min(MOST);
    for i in 1..=painted {
        // Safety: these words lie below all frames and above all data, so nobody owns them.
        unsafe { ptr::write_volatile(top.wrapping_sub(i), PAINT) };
    }
    f();
    // Safety: as above.
    let kept = |i: &usize| unsafe { ptr::read_volatile(top.wrapping_sub(*i)) } == PAINT;
    let untouched = (1..=painted).rev().take_while(kept).count();
    (untouched > 0).then_some((painted - untouched + SPARED) * size_of::<u32>())
}
