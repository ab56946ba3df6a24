//! Region search: the distance to the nearest violation, over neighbouring linear regions.
//!
//! The certificate of one region ends at its nearest facet. The search goes on through it (paper
//! 001, end of section 3), best first. At any time the smallest key of its queue is a certified
//! radius; once that key belongs to a decision boundary, it is the exact distance.
//!
//! **Regions.** A pattern t says for each neuron that bends whether it is on its positive side. With
//! the pattern fixed, each pre-activation is affine, `z_i^t(x)`, and the closed region `R_t` is where
//! all have the sign that t says; a zero has either. On `R_t` the network is affine, as is seen layer
//! by layer. Let `P(y)` be the patterns of the regions that a point y lies in: those that agree with
//! the signs of all pre-activations at y that are not 0.
//!
//! **Keys.** The queue holds, for each region explored, its facets `{x in R_t : z_i^t(x) = 0}` and
//! the parts `{x in R_t : margin_j^t(x) <= 0}` where a decision is lost, each with a lower bound of
//! its distance from u (within the box). A facet leaves the queue only when the region with that
//! one sign flipped is explored too.
//!
//! **Claim.** Let r be the smallest key, and a pattern of `P(u)` explored. Then at every x (of the box)
//! with `||x - u|| < r`, all margins are positive.
//!
//! *Proof.* Suppose that for some y on the segment from u to x an explored t is in `P(y)`. If
//! `z_i(y) = 0`, y lies on facet i of `R_t`; the facet is nearer than r, so it was crossed, and the
//! pattern t with i flipped, which is in `P(y)` again (what i feeds to later layers is 0 on both
//! sides), is explored. By such flips all of `P(y)` is reached. Now let y be the last point of the
//! segment up to which it lies in explored regions; they are closed and finitely many. If y were not
//! x, points of the segment just behind y would have a pattern in `P(y)`, for signs that are not 0
//! stay so: explored, a contradiction. So x lies in an explored region, and its margins are positive,
//! for else x would belong to a lost part nearer than r.
//!
//! Nothing is assumed of the position of the hyperplanes. Two savings keep the argument: neurons that
//! are copies or opposites of each other share one sign (`network::Flip`), and a facet whose
//! function is 0 everywhere in its region is not crossed. (In `P(y)`, walk to the wanted pattern
//! layer by layer: a neuron whose function under the wanted pattern is 0 everywhere need not be
//! flipped, as the region and the network on it are the same for both signs.)
//!
//! A region reached through the smallest key r was not explored, so by the proof it has no point
//! nearer than r: its own keys are at least r. (Or it differs from an explored one only in signs of
//! functions that are 0. Those two regions are one, and the proof goes on with the keys of the one
//! explored first.) Where rounding leaves the sign of a neuron at u open,
//! both are explored at the start.
//!
//! **Rounding.** The functions of a region are computed in f64 with bounds of what was lost
//! (`forms::Forms`); a key is a quotient of such bounds (`forms::Face::distance`) or by weak
//! duality a combination of them (`bound::Combination::distance`), whatever the convex solver
//! says. So the radius holds in real arithmetic for the stored network and, within their error
//! fields, the network it was made from.

mod bound;
mod forms;
mod network;
mod program;
mod queue;
mod round;
#[cfg(test)]
mod tests;
mod tighten;
mod violation;

pub use violation::Violation;

use certus_engine::model::Model;
use certus_engine::region::{Norm, Region, RegionError};

use crate::error::{Error, Result};
use queue::Search;

/// How much a search may do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Linear regions explored.
    pub regions: usize,
    /// Convex programs solved.
    pub programs: usize,
    /// Distances from here on are not asked for.
    pub limit: f64,
}

impl Default for Budget {
    /// 1000 regions, 10000 programs, any distance below `2^100`.
    fn default() -> Self {
        Self { regions: 1000, programs: 10_000, limit: 2f64.powi(100) }
    }
}

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The class is the only largest output at all inputs (of the box) nearer than this. Not above
    /// the budget's limit, nor above the violation's distance.
    pub radius: f64,
    /// The nearest violation found, replayed.
    pub violation: Option<Violation>,
    /// Whether the two agree to a millionth, so that the distance of the nearest violation is known.
    pub exact: bool,
    /// Regions explored.
    pub regions: usize,
    /// Convex programs solved.
    pub programs: usize,
}

/// The largest share of its distance by which an exact violation may lie beyond the radius.
pub const AGREE: f64 = 1e-6;

/// The distance from `x` to the nearest input at which `class` is not the only largest output, in
/// `norm` and within the box `clip`, from below and above.
///
/// `radius <= min {||x' - x||_p : some f_j(x') >= f_class(x')} <= violation.distance`. A larger budget
/// never gives a smaller radius.
///
/// # Errors
/// [`Error::Usage`] for a norm other than l1, l2 and linf, a point or a box that does not fit the
/// model or each other, a class or an activation that the model does not have or that has no regions,
/// or a limit that is not positive.
/// Memory: the functions of the last regions, `neurons*inputs` f64 each, up to half a gigabyte, and a
/// few words for each facet of all. Work: for a region one product `[rows][live] * [live][inputs]` per
/// layer from the flipped one on; a program of `inputs` to `2*inputs` variables for each facet that
/// comes up.
pub fn search(
    model: &Model<'_>,
    x: &[f32],
    class: usize,
    norm: Norm,
    clip: Option<(&[f32], &[f32])>,
    budget: &Budget,
) -> Result<Found> {
    check_norm(norm)?;
    check(model, x, class, clip, budget)?;
    Ok(Search::new(model, x, class, norm, clip, *budget).run())
}

/// Refuses the norms that regions are not searched in.
///
/// # Errors
/// [`Error::Usage`] for a general lp.
pub fn check_norm(norm: Norm) -> Result<()> {
    match norm {
        Norm::L1 | Norm::L2 | Norm::Linf => Ok(()),
        Norm::Lp(_) => {
            Err(Error::Usage(format!("region search in {norm}, expected l1, l2 or linf")))
        }
    }
}

fn check(
    model: &Model<'_>,
    x: &[f32],
    class: usize,
    clip: Option<(&[f32], &[f32])>,
    budget: &Budget,
) -> Result<()> {
    let region = |error: RegionError| Error::Usage(format!("region search: {error}"));
    Region::ball(x, 0.0, Norm::Linf).check(model.inputs()).map_err(region)?;
    if let Some((lo, hi)) = clip {
        Region::ball_in_box(x, 0.0, Norm::Linf, lo, hi).check(model.inputs()).map_err(region)?;
        let mut ends = x.iter().zip(lo.iter().zip(hi));
        if let Some(i) = ends.position(|(x, (lo, hi))| !(lo <= x && x <= hi)) {
            return Err(region(RegionError::Empty(i)));
        }
    }
    let layers = model.layers().map(|layer| (layer.activation, layer.through));
    super::check_two_lines("region search", layers)?;
    if class >= model.outputs() {
        return Err(Error::Usage(format!(
            "region search: class {class} of a model with {} outputs",
            model.outputs()
        )));
    }
    if !(budget.limit > 0.0) {
        return Err(Error::Usage(format!(
            "region search: a limit of {}, expected a positive distance",
            budget.limit
        )));
    }
    Ok(())
}
