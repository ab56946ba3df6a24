//! The caller's memory: how much, and who gets which part.

use super::interval::Masses;
use super::state::State;
use super::{Method, Options, choice, linear};
use crate::model::Model;

/// How much memory a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Floats.
    pub floats: usize,
    /// Indices.
    pub indices: usize,
}

impl Size {
    /// Memory for `method` on `model` with blocks of up to `block` neurons (at least 1): the
    /// larger the block, the better matrix products run.
    ///
    /// `9*neurons + 7*width + 2*inputs + layers + rows*(2*width + 2)` floats, rows = `2*block` for
    /// the methods that back-substitute neurons, else `block`; and
    /// `neurons + 3*layers + width + block` indices. Without [`Options::ends`], three floats are for
    /// each neuron of the widest layer only. The methods that carry linear functions forward:
    /// `width*(4*inputs + 6)` floats and `width` indices more.
    pub const fn of(model: &Model<'_>, method: Method, block: usize) -> Self {
        Self::of_options(model, &Options::new(method), block)
    }

    /// [`Size::of`] with other than the usual options.
    pub const fn of_options(model: &Model<'_>, options: &Options, block: usize) -> Self {
        let block = if block == 0 { 1 } else { block };
        let (neurons, width) = (model.neurons(), model.width());
        let rows = if options.method.walks_neurons() { 2 * block } else { block };
        let carried = match choice::carries(model, options) {
            true => linear::size(model.inputs(), width),
            false => (0, 0),
        };
        Self {
            floats: PER_NEURON * neurons
                + PER_END * State::ends_len(model, options)
                + (2 + Masses::EACH) * width
                + 2 * model.inputs()
                + model.depth()
                + rows * (2 * width + 2)
                + carried.0,
            indices: neurons + 3 * model.depth() + width + block + carried.1,
        }
    }

    /// Bytes.
    pub const fn bytes(&self) -> usize {
        4 * (self.floats + self.indices)
    }
}

impl Model<'_> {
    /// [`Size::of`] this model: the size of a static buffer, at compile time.
    pub const fn workspace(&self, method: Method, block: usize) -> Size {
        Size::of(self, method, block)
    }
}

/// Arrays of [`State`] with an entry for each neuron.
const PER_NEURON: usize = 6;
/// Those with one for each neuron or for the widest layer's.
const PER_END: usize = 3;

/// Borrowed working memory of at least the [`Size`] that the call needs.
#[derive(Debug)]
pub struct Workspace<'w> {
    /// Floats; their content does not matter.
    pub floats: &'w mut [f32],
    /// Indices; their content does not matter.
    pub indices: &'w mut [u32],
}

impl Workspace<'_> {
    /// The same memory for a shorter time.
    pub fn reborrow(&mut self) -> Workspace<'_> {
        Workspace { floats: self.floats, indices: self.indices }
    }
}

/// Owned working memory for a `static`: `StaticWorkspace<{SIZE.floats}, {SIZE.indices}>`.
#[derive(Debug)]
pub struct StaticWorkspace<const F: usize, const I: usize> {
    floats: [f32; F],
    indices: [u32; I],
}

impl<const F: usize, const I: usize> StaticWorkspace<F, I> {
    /// Zeroed memory.
    pub const fn new() -> Self {
        Self { floats: [0.0; F], indices: [0; I] }
    }

    /// The memory to hand to a call.
    pub fn as_workspace(&mut self) -> Workspace<'_> {
        Workspace { floats: &mut self.floats, indices: &mut self.indices }
    }
}

impl<const F: usize, const I: usize> Default for StaticWorkspace<F, I> {
    fn default() -> Self {
        Self::new()
    }
}

/// Hands out parts of a slice; the caller turns `None` into an error.
pub(crate) struct Arena<'w, T>(pub &'w mut [T]);

impl<'w, T> Arena<'w, T> {
    pub(crate) fn take(&mut self, n: usize) -> Option<&'w mut [T]> {
        let (part, rest) = core::mem::take(&mut self.0).split_at_mut_checked(n)?;
        self.0 = rest;
        Some(part)
    }
}
