//! The checks that stand before each pointer's use, and how working memory is divided.

use core::ptr;
use core::slice;

use certus_engine::bounds::{Size, Workspace};
use certus_engine::model::Model;

use crate::status::Status;

/// Addresses `from .. to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    from: usize,
    to: usize,
}

impl Span {
    /// Where `len` entries lie.
    ///
    /// # Errors
    /// A pointer that is NULL or misaligned, a length beyond the address space.
    pub(crate) fn new<T>(at: *const T, len: usize) -> Result<Self, Status> {
        if at.is_null() {
            return Err(Status::Null);
        }
        if !at.is_aligned() {
            return Err(Status::Misaligned);
        }
        let bytes = len.checked_mul(size_of::<T>()).filter(|n| isize::try_from(*n).is_ok());
        let from = at.addr();
        let to = bytes.and_then(|bytes| from.checked_add(bytes)).ok_or(Status::Length)?;
        Ok(Self { from, to })
    }

    /// Where a slice lies.
    pub(crate) fn of<T>(slice: &[T]) -> Self {
        let from = slice.as_ptr().addr();
        Self { from, to: from.saturating_add(size_of_val(slice)) }
    }

    /// Whether the two share an address.
    fn meets(&self, other: &Self) -> bool {
        let both = self.from < self.to && other.from < other.to;
        both && self.from < other.to && other.from < self.to
    }
}

/// Whether what is written meets neither what is read nor itself.
///
/// # Errors
/// [`Status::Overlap`].
pub(crate) fn apart(mut written: &[Span], read: &[Span]) -> Result<(), Status> {
    while let Some((first, rest)) = written.split_first() {
        if rest.iter().chain(read).any(|other| first.meets(other)) {
            return Err(Status::Overlap);
        }
        written = rest;
    }
    Ok(())
}

/// An array to read; of length 0 it may be NULL.
///
/// # Errors
/// Those of [`Span::new`].
///
/// # Safety
/// If the pointer passes the check, `len` entries there are written, and stay for `'a`.
pub(crate) unsafe fn array<'a, T>(at: *const T, len: usize) -> Result<&'a [T], Status> {
    if len == 0 {
        return Ok(&[]);
    }
    Span::new(at, len)?;
    // SAFETY: not NULL, aligned, within the address space; the rest is the caller's word.
    Ok(unsafe { slice::from_raw_parts(at, len) })
}

/// One value to read, by copy.
///
/// # Errors
/// Those of [`Span::new`].
///
/// # Safety
/// As [`array`] of length 1.
pub(crate) unsafe fn value<T: Copy>(at: *const T) -> Result<T, Status> {
    Span::new(at, 1)?;
    // SAFETY: not NULL and aligned; that it is written is the caller's word.
    Ok(unsafe { at.read() })
}

/// Memory to write that passed [`Span::new`], its content not yet anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room<T> {
    at: *mut T,
    len: usize,
    /// Where it lies.
    pub span: Span,
}

impl<T: Copy> Room<T> {
    /// # Errors
    /// Those of [`Span::new`].
    pub(crate) fn new(at: *mut T, len: usize) -> Result<Self, Status> {
        Ok(Self { at, len, span: Span::new(at, len)? })
    }

    /// As [`Room::new`] for one value that the caller may not want.
    ///
    /// # Errors
    /// A pointer that is misaligned.
    pub(crate) fn optional(at: *mut T) -> Result<Self, Status> {
        if at.is_null() {
            let (at, span) = (ptr::dangling_mut(), Span { from: 0, to: 0 });
            return Ok(Self { at, len: 0, span });
        }
        Self::new(at, 1)
    }

    /// Writes `value` everywhere.
    ///
    /// # Safety
    /// `len` entries may be written there, and nobody else uses them meanwhile.
    pub(crate) unsafe fn fill(self, value: T) {
        for i in 0..self.len {
            // SAFETY: within the array, which is the caller's word.
            unsafe { self.at.add(i).write(value) };
        }
    }

    /// The memory, each entry `value`.
    ///
    /// # Safety
    /// As [`Room::fill`], for `'a`.
    pub(crate) unsafe fn filled<'a>(self, value: T) -> &'a mut [T] {
        // SAFETY: the caller's word; afterwards every entry is written.
        unsafe {
            self.fill(value);
            slice::from_raw_parts_mut(self.at, self.len)
        }
    }
}

impl Room<u32> {
    /// The memory as floats and indices, for the largest block that fits.
    ///
    /// `size`: what a block of so many rows takes.
    ///
    /// # Errors
    /// [`Status::Short`] if not even a block of one row fits.
    ///
    /// # Safety
    /// As [`Room::filled`].
    pub(crate) unsafe fn divide<'a>(
        self,
        model: &Model<'_>,
        size: impl Fn(usize) -> Size,
    ) -> Result<Workspace<'a>, Status> {
        let floats = size(block(model, self.len, &size).ok_or(Status::Short)?).floats;
        let rest = self.len.checked_sub(floats).ok_or(Status::Short)?;
        // SAFETY: the caller's word. A float and an index have the same size and boundary, 0 is
        // either, and the two parts are apart.
        unsafe {
            self.fill(0);
            Ok(Workspace {
                floats: slice::from_raw_parts_mut(self.at.cast(), floats),
                indices: slice::from_raw_parts_mut(self.at.add(floats), rest),
            })
        }
    }
}

/// Words of a size.
pub(crate) fn words(size: Size) -> usize {
    size.floats.saturating_add(size.indices)
}

/// The size for a block of up to `block` rows in words, 0 if it is beyond the address space.
///
/// No method has a use for more rows than the model is wide.
pub(crate) fn words_of(model: &Model<'_>, block: usize, size: impl Fn(usize) -> Size) -> usize {
    let block = block.min(model.width()).max(1);
    // Two rows of twice the width and a few numbers each.
    let most = model.width().checked_mul(8).and_then(|row| row.checked_add(16));
    match most.and_then(|row| row.checked_mul(block)).and_then(|n| isize::try_from(n).ok()) {
        Some(_) => words(size(block)),
        None => 0,
    }
}

/// The largest block whose size is at most `len` words; `None` if there is none.
fn block(model: &Model<'_>, len: usize, size: impl Fn(usize) -> Size) -> Option<usize> {
    let fits = |block| words(size(block)) <= len;
    if !fits(1) {
        return None;
    }
    // A row of any block takes twice the width, and there are no more rows than that.
    let width = model.width();
    let rows = len.checked_div(width.saturating_mul(2))?;
    let (mut low, mut high) = (1, rows.saturating_add(1).min(width));
    while low < high {
        let middle = low.midpoint(high).saturating_add(1).min(high);
        if fits(middle) { low = middle } else { high = middle.saturating_sub(1) }
    }
    Some(low)
}
