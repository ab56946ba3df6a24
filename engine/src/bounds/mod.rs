//! Bounds by propagation: intervals forward, linear functions forward or backward.
//!
//! [`lower_bounds`] is the one entry: lower bounds of specification rows over a region by any
//! [`Method`]. It walks the layers once forward; each layer's pre-activation interval comes from
//! the interval step and, for the methods that ask for it, from linear functions of the input that
//! go along (`linear.rs`) or from back-substituting the neurons that are still unstable
//! (`walk.rs`). All memory is a [`Workspace`] of the caller.

mod arithmetic;
mod budget;
mod choice;
mod early;
mod forward;
mod interval;
mod linear;
mod most;
mod neurons;
mod own;
mod product;
mod propagate;
mod rows;
mod state;
mod walk;
mod workspace;

pub use arithmetic::{Arithmetic, OverBox, Portable, Product};
pub(crate) use budget::Disturbance;
pub use forward::{argmax, forward, forward_enclosed};
pub(crate) use most::{add, mul, weights};
pub use most::{forward_macs, most_macs};
pub use own::{OwnSlopes, lower_bounds_own};
pub use propagate::{Bounds, Given, dense_macs, lower_bounds, lower_bounds_given};
pub(crate) use state::{at, move_down, part};
pub(crate) use workspace::Arena;
pub use workspace::{Size, StaticWorkspace, Workspace};

use crate::region::RegionError;
use crate::relax::LowerSlope;

/// How bounds are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Intervals forward; the specification is merged with the last layer.
    Ibp,
    /// Intervals inside, one back-substitution of the specification (CROWN-IBP).
    CrownIbp,
    /// Back-substitution everywhere with the same slope on both sides (Fast-Lin).
    FastLin,
    /// Back-substitution everywhere with [`LowerSlope`] (CROWN; paper 003, theorem 3.2).
    Crown,
    /// Linear functions of the input carried forward; the specification is merged with the last layer.
    /// Looser than [`Method::Crown`], and cheaper where the inputs are few.
    Forward,
    /// Linear functions carried forward inside, one back-substitution of the specification.
    ForwardBackward,
}

impl Method {
    /// Whether intermediate bounds are back-substituted.
    pub const fn walks_neurons(self) -> bool {
        matches!(self, Method::FastLin | Method::Crown)
    }

    /// Whether linear functions of the input are carried forward.
    pub const fn carries(self) -> bool {
        matches!(self, Method::Forward | Method::ForwardBackward)
    }
}

/// What the methods that back-substitute neurons do before they do so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tighten {
    /// Nothing: the papers' bounds.
    #[default]
    Backward,
    /// Carry linear functions of the input forward, and back-substitute what they leave unstable. No
    /// interval gets looser; memory is that of [`Size::of_options`].
    Both,
    /// As [`Tighten::Both`] for as long as that is expected to take fewer multiply-adds than the walks
    /// that it spares, from then on as [`Tighten::Backward`]. A network of many inputs for which it
    /// never would takes no more memory, either.
    Cheapest,
}

/// What the bounds shall cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Semantics {
    /// The stored network in real arithmetic.
    #[default]
    Real,
    /// Also [`forward`] in f32 as it rounds, on every f32 point of the region, with any order of
    /// its sums (`soundness.md` 6).
    Deployed,
}

/// What to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The method.
    pub method: Method,
    /// What the bounds cover.
    pub semantics: Semantics,
    /// Lower slope of an unstable ReLU, for the methods with linear functions but
    /// [`Method::FastLin`].
    pub lower: LowerSlope,
    /// Intersect each back-substituted interval with the interval step's, and back-substitute only
    /// what that leaves unstable. No interval gets looser; the result, being a heuristic's choice of
    /// slopes, nearly never does. Off, the bounds are the papers' own.
    pub intersect: bool,
    /// What comes before the back-substitution of neurons; nothing where `intersect` is off or
    /// `every_neuron` on.
    pub tighten: Tighten,
    /// Back-substitute every neuron all the way, for a report of pre-activation bounds; off,
    /// stable neurons are skipped and rows are dropped as soon as they are settled.
    pub every_neuron: bool,
    /// Be content with any proof that every row is positive: bound the rows over the boxes of
    /// activations on their way too, which makes no bound looser than intervals' own, and stop where
    /// all are above 0; and try for that, with interval steps for the layers not yet bounded, before
    /// neurons are back-substituted at many times the cost. Rows that are left open have the method's
    /// bounds or better ones. Pre-activation bounds of layers beyond a proof may be loose.
    pub early: bool,
    /// Give the pre-activation bounds back ([`Bounds::lo`]). Off, none are, and memory is that of
    /// [`Size::of_options`]: less by three floats a neuron, but for the widest layer's. The bounds of
    /// the rows are the same.
    pub ends: bool,
}

impl Options {
    /// The usual options of a method: real semantics, adaptive slopes, all savings.
    pub const fn new(method: Method) -> Self {
        Self {
            method,
            semantics: Semantics::Real,
            lower: LowerSlope::Adaptive,
            intersect: true,
            tighten: Tighten::Backward,
            every_neuron: false,
            early: false,
            ends: true,
        }
    }

    /// The same for the bounds of the rows alone, in less memory.
    pub const fn without_ends(self) -> Self {
        Self { ends: false, ..self }
    }

    /// Whether pre-activation bounds of all layers are kept.
    pub(crate) const fn keeps_ends(&self) -> bool {
        // A try on the way goes on from the layers before.
        self.ends || self.early
    }

    /// Whether linear functions of the input may be carried forward.
    pub const fn carries(&self) -> bool {
        let first = !matches!(self.tighten, Tighten::Backward);
        let spares = self.method.walks_neurons() && self.intersect && !self.every_neuron;
        self.method.carries() || (first && spares)
    }

    /// The lower slope that the method uses.
    pub(crate) const fn slope(&self) -> LowerSlope {
        if matches!(self.method, Method::FastLin) { LowerSlope::SameAsUpper } else { self.lower }
    }
}

/// Why there are no bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The region does not fit the model, or is no region.
    Region(RegionError),
    /// The specification does not fit the model's outputs.
    Spec,
    /// The workspace or the output slice is too small.
    Workspace,
    /// The activation of this layer (from 0) is not one line on either side of 0, and the method
    /// knows no other.
    Activation {
        /// The layer.
        layer: usize,
    },
    /// A pre-activation of this layer (from 0) could reach `2^100`: f32 bounds would overflow.
    Magnitude {
        /// The layer.
        layer: usize,
    },
}

impl From<RegionError> for Error {
    fn from(error: RegionError) -> Self {
        Error::Region(error)
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Error::Region(error) => error.fmt(f),
            Error::Spec => f.write_str("the specification does not fit the model's outputs"),
            Error::Workspace => f.write_str("the workspace or the output slice is too small"),
            Error::Activation { layer } => write!(
                f,
                "the activation of layer {layer} is not one line on either side of 0, as the method \
                 expects (ReLU, leaky ReLU)"
            ),
            Error::Magnitude { layer } => write!(
                f,
                "pre-activations of layer {layer} could reach 2^100, beyond what f32 bounds cover"
            ),
        }
    }
}

impl core::error::Error for Error {}

/// Counted work of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Multiply-adds of the matrix products of back-substitution and of functions carried forward.
    pub product_macs: u64,
    /// Multiply-adds of passes over rows: interval steps, relaxations, concretisation. A power in a
    /// norm counts as one, the search in a ball that is cut by a box as none.
    pub row_macs: u64,
    /// Multiply-adds that the method takes without savings, see [`dense_macs`].
    pub dense_macs: u64,
    /// Neurons that were back-substituted.
    pub neurons: u64,
    /// Of them, those dropped before their walk reached the input.
    pub dropped: u64,
    /// Multiply-adds of back-substitution that were not done because a neuron is inactive: its row and
    /// its column were gathered away.
    pub spared_inactive: u64,
    /// Those that were not done because the lower and the upper walk shared their first product.
    pub spared_shared: u64,
}

impl Work {
    /// All multiply-adds done.
    pub const fn macs(&self) -> u64 {
        self.product_macs + self.row_macs
    }
}

impl core::ops::AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.product_macs += other.product_macs;
        self.row_macs += other.row_macs;
        self.dense_macs += other.dense_macs;
        self.neurons += other.neurons;
        self.dropped += other.dropped;
        self.spared_inactive += other.spared_inactive;
        self.spared_shared += other.spared_shared;
    }
}

#[cfg(test)]
pub(crate) mod tests;
