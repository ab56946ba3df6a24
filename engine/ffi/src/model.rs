//! A checked blob as a handle.

use core::ffi::c_void;

use certus_engine::model;

use crate::memory::{Span, apart, array};
use crate::status::{Status, status};

/// A model: `certus_v1_model_open` makes it. To be kept where it was opened.
#[repr(C)]
#[derive(Debug)]
pub struct Model {
    /// Not to be read or written.
    pub opaque: [u64; 8],
}

/// What lies in a [`Model`].
#[repr(C)]
struct Inner {
    seal: u64,
    model: model::Model<'static>,
}

const _: () = assert!(size_of::<Inner>() <= size_of::<Model>());
const _: () = assert!(align_of::<Inner>() <= align_of::<Model>());

/// What an opened handle at this address begins with: neither zeroed memory nor a copy of another
/// handle does.
pub(crate) fn seal<T>(kind: [u8; 8], at: *const T) -> u64 {
    u64::from_le_bytes(kind) ^ at.addr() as u64
}

const KIND: [u8; 8] = *b"certus1m";

/// The model in a handle, and where its handle and its words lie.
///
/// # Errors
/// [`Status::Handle`], and those of [`Span::new`].
///
/// # Safety
/// If the pointer passes the check, there is a handle, opened or not; its blob stays for `'static` or
/// as long as the model is used.
pub(crate) unsafe fn get(
    handle: *const Model,
) -> Result<(model::Model<'static>, [Span; 2]), Status> {
    let span = Span::new(handle, 1)?;
    let inner = handle.cast::<Inner>();
    // SAFETY: not NULL, aligned, and large enough; any bits are a number.
    let found = unsafe { (&raw const (*inner).seal).read() };
    if found != seal(KIND, handle) {
        return Err(Status::Handle);
    }
    // SAFETY: `certus_v1_model_open` wrote the seal after the model.
    let model = unsafe { (&raw const (*inner).model).read() };
    Ok((model, [span, Span::of(model.words())]))
}

/// Checks a blob and makes a handle of it.
///
/// `blob`: `bytes` bytes, as `certus pack` writes them, on a 4-byte boundary (16 is what it was laid
/// out for). The handle refers to them: they stay where they are, unchanged, as long as it is used.
/// Errors: each way in which a blob is refused has its status; the handle is then closed.
/// Work: one pass over the blob. To check it again later, open another handle on it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_model_open(
    model: *mut Model,
    blob: *const c_void,
    bytes: usize,
) -> Status {
    let open = || {
        let handle = Span::new(model, 1)?;
        let inner = model.cast::<Inner>();
        let blob_span = Span::new(blob.cast::<u8>(), bytes);
        if let Ok(blob) = blob_span {
            apart(&[handle], &[blob])?;
        }
        // SAFETY: not NULL, aligned, and large enough.
        unsafe { (&raw mut (*inner).seal).write(0) };
        blob_span?;
        if !blob.cast::<u32>().is_aligned() || !bytes.is_multiple_of(4) {
            return Err(Status::BlobMisaligned);
        }
        // SAFETY: checked; that the words are there and stay is the caller's word.
        let words = unsafe { array(blob.cast::<u32>(), bytes / 4) }?;
        let opened = model::Model::from_words(words)?;
        // SAFETY: as for the seal.
        unsafe { inner.write(Inner { seal: seal(KIND, model), model: opened }) };
        Ok(())
    };
    status(open())
}

/// Number of inputs; 0 if the handle is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_model_inputs(model: *const Model) -> usize {
    // SAFETY: a handle, opened or not, is the caller's word.
    unsafe { get(model) }.map_or(0, |(model, _)| model.inputs())
}

/// Number of outputs; 0 if the handle is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_model_outputs(model: *const Model) -> usize {
    // SAFETY: as above.
    unsafe { get(model) }.map_or(0, |(model, _)| model.outputs())
}

/// Number of affine layers; 0 if the handle is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn certus_v1_model_layers(model: *const Model) -> usize {
    // SAFETY: as above.
    unsafe { get(model) }.map_or(0, |(model, _)| model.depth())
}
