//! Regions, specifications and choices as C writes them.

use certus_engine::bounds;
use certus_engine::region::{self, Ball, Norm};
use certus_engine::spec;

use crate::memory::{Span, array};
use crate::status::Status;

/// How bounds are found, from the cheapest on.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Intervals.
    Ibp = 1,
    /// Intervals inside, one walk back of the specification.
    CrownIbp = 2,
    /// Every layer walked back, the same slope on both sides.
    FastLin = 3,
    /// Every layer walked back, adaptive slopes.
    Crown = 4,
}

/// What bounds cover.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Semantics {
    /// The stored network in real arithmetic.
    Real = 1,
    /// Also its forward pass in f32 as it rounds.
    Deployed = 2,
}

/// The shape of a region.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `center`, `radius`, `norm`.
    Ball = 1,
    /// `lo`, `hi`.
    Box = 2,
    /// The points of the ball that lie in the box.
    BallInBox = 3,
}

/// An exact real set of inputs. What its shape does not have is not read.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// A `certus_v1_shape`.
    pub shape: u32,
    /// The norm's exponent p: 1, 2, INFINITY, or any number above 1.
    pub norm: f32,
    /// Radius of the ball.
    pub radius: f32,
    /// Entries of each array: the model's inputs.
    pub inputs: usize,
    /// Centre of the ball.
    pub center: *const f32,
    /// Lower ends of the box.
    pub lo: *const f32,
    /// Upper ends of the box.
    pub hi: *const f32,
}

/// What is asked of the outputs.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecKind {
    /// Each output from below, then each from above, negated: twice the outputs.
    Outputs = 1,
    /// `y[label] - y[j]` for all other j in increasing order: one less than the outputs.
    Margins = 2,
    /// The rows of a matrix.
    Rows = 3,
}

/// Rows over the outputs. What its kind does not have is not read.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// A `certus_v1_spec_kind`.
    pub kind: u32,
    /// Margins: the class, from 0.
    pub label: usize,
    /// Rows: how many.
    pub rows: usize,
    /// Rows: row-major `[rows][outputs]`.
    pub matrix: *const f32,
}

/// The method with this number.
pub(crate) fn method(number: u32) -> Result<bounds::Method, Status> {
    Ok(match number {
        n if n == Method::Ibp as u32 => bounds::Method::Ibp,
        n if n == Method::CrownIbp as u32 => bounds::Method::CrownIbp,
        n if n == Method::FastLin as u32 => bounds::Method::FastLin,
        n if n == Method::Crown as u32 => bounds::Method::Crown,
        _ => return Err(Status::Kind),
    })
}

/// The semantics with this number.
pub(crate) fn semantics(number: u32) -> Result<bounds::Semantics, Status> {
    Ok(match number {
        n if n == Semantics::Real as u32 => bounds::Semantics::Real,
        n if n == Semantics::Deployed as u32 => bounds::Semantics::Deployed,
        _ => return Err(Status::Kind),
    })
}

/// The norm with this exponent.
pub(crate) fn norm(p: f32) -> Result<Norm, Status> {
    Norm::new(p).ok_or(Status::Norm)
}

impl Region {
    /// As the engine takes it.
    ///
    /// # Safety
    /// Arrays that pass the checks are written, and stay for `'a`.
    pub(crate) unsafe fn read<'a>(&self) -> Result<region::Region<'a>, Status> {
        // SAFETY: the caller's word.
        let entries = |at| unsafe { array::<f32>(at, self.inputs) };
        let ball = || {
            let (center, norm) = (entries(self.center)?, norm(self.norm)?);
            Ok::<_, Status>(Ball { center, radius: self.radius, norm })
        };
        Ok(match self.shape {
            n if n == Shape::Ball as u32 => region::Region::Ball(ball()?),
            n if n == Shape::Box as u32 => {
                region::Region::Box { lo: entries(self.lo)?, hi: entries(self.hi)? }
            }
            n if n == Shape::BallInBox as u32 => region::Region::BallInBox {
                ball: ball()?,
                lo: entries(self.lo)?,
                hi: entries(self.hi)?,
            },
            _ => return Err(Status::Kind),
        })
    }
}

/// Where a region's arrays lie.
pub(crate) fn spans(region: &region::Region<'_>) -> [Span; 3] {
    let (center, lo, hi): (&[f32], &[f32], &[f32]) = match region {
        region::Region::Ball(ball) => (ball.center, &[], &[]),
        region::Region::Box { lo, hi } => (&[], lo, hi),
        region::Region::BallInBox { ball, lo, hi } => (ball.center, lo, hi),
    };
    [center, lo, hi].map(Span::of)
}

impl Spec {
    /// As the engine takes it, for a model with so many outputs.
    ///
    /// # Safety
    /// As [`Region::read`].
    pub(crate) unsafe fn read<'a>(&self, outputs: usize) -> Result<spec::Spec<'a>, Status> {
        Ok(match self.kind {
            n if n == SpecKind::Outputs as u32 => spec::Spec::Outputs,
            n if n == SpecKind::Margins as u32 => spec::Spec::Margins { class: self.label },
            n if n == SpecKind::Rows as u32 => {
                let len = self.rows.checked_mul(outputs).ok_or(Status::Length)?;
                // SAFETY: the caller's word.
                let matrix = unsafe { array(self.matrix, len) }?;
                spec::Spec::Rows { matrix, rows: self.rows }
            }
            _ => return Err(Status::Kind),
        })
    }
}

/// Where a specification's matrix lies.
pub(crate) fn matrix(spec: &spec::Spec<'_>) -> Span {
    match spec {
        spec::Spec::Rows { matrix, .. } => Span::of(matrix),
        _ => Span::of::<f32>(&[]),
    }
}
