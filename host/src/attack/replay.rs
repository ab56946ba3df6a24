//! From a point to a verdict: the only place where a falsification is made.

use certus_engine::bounds::{Error, Method, Options};
use certus_engine::region::{Norm, Region};
use certus_engine::spec::Spec;

use super::lead::lead;
use super::threat::{Place, Threat};
use crate::cpu::Runner;
use crate::report::Verdict;

/// A point of a threat at which a class is not the strictly largest output, proved.
#[derive(Clone, Debug, PartialEq)]
pub struct Witness {
    point: Vec<f32>,
    distance: f64,
    class: usize,
    lead: f32,
}

impl Witness {
    /// The point.
    pub fn point(&self) -> &[f32] {
        &self.point
    }

    /// Its distance from the centre, never below the true one.
    pub fn distance(&self) -> f64 {
        self.distance
    }

    /// The class that it goes to.
    pub fn class(&self) -> usize {
        self.class
    }

    /// Lower bound, at least 0, of that class's lead over the one attacked, in real arithmetic.
    pub fn lead(&self) -> f32 {
        self.lead
    }

    /// What it proves.
    pub fn verdict(&self) -> Verdict {
        Verdict::Falsified
    }
}

/// Why a point proves nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refusal {
    /// It is not shown to lie in the ball and the box, or is no point.
    Outside,
    /// No other class is there.
    Class,
    /// The lead of the best other output is only shown to be at least this, below 0.
    Unsettled {
        /// The lower bound.
        lead: f32,
    },
    /// The engine's.
    Bounds(Error),
}

/// By how much of its way from the base a point that is not settled is pushed on.
const PUSHES: [f64; 6] = [0.0, 2e-7, 2e-6, 2e-5, 2e-4, 2e-3];

/// What a push may gain at most, as a share of what the lead has gained on the way from the base:
/// some times the longest push. A point that lacks more is not pushed.
const GAIN: f32 = 0.02;

/// Replays `point`: a [`Witness`] if it lies in `threat` and some output `j` has
/// `f_j(point) >= f_class(point)`.
///
/// The distance is bounded from above (see [`super::distance`]) and the lead from below by the
/// engine's enclosing arithmetic on the ball of radius 0 (`soundness.md` 1 and 5), so both hold for
/// the stored network in real arithmetic and for every network within its `weight_error` and
/// `bias_error`. This is [`Semantics::Real`](certus_engine::bounds::Semantics) whatever is asked of
/// proofs: a claim of deployed semantics includes the real one and falls with it. A point too close
/// to the boundary to be settled is pushed on along its way, within the threat; one that is far from
/// it is not.
///
/// # Errors
/// [`Refusal`], of the point as given where it is outside, else of the best that was tried. Work:
/// up to six interval passes.
pub fn replay(
    runner: &mut Runner<'_>,
    threat: &Threat<'_>,
    class: usize,
    point: &[f32],
) -> Result<Witness, Refusal> {
    threat.distance(point).ok_or(Refusal::Outside)?;
    let place = Place::new(threat);
    let way = place.way(point);
    let mut refusal = Refusal::Outside;
    let mut pushed = point.to_vec();
    for push in PUSHES {
        if push > 0.0 {
            let mut way: Vec<f64> = way.iter().map(|w| w * (1.0 + push)).collect();
            place.put(&mut way, &mut pushed);
        }
        match settle(runner, threat, class, &pushed) {
            Ok(witness) => return Ok(witness),
            Err(Refusal::Unsettled { lead }) => {
                let better = !matches!(refusal, Refusal::Unsettled { lead: old } if old >= lead);
                refusal = if better { Refusal::Unsettled { lead } } else { refusal };
                if push == 0.0 {
                    let base = self::lead(&runner.forward(&place.base), class);
                    let gained = base.map_or(f32::INFINITY, |(base, _)| lead - base);
                    if lead < -GAIN * gained.abs() {
                        break;
                    }
                }
            }
            Err(_) if push > 0.0 => {}
            Err(other) => return Err(other),
        }
    }
    Err(refusal)
}

fn settle(
    runner: &mut Runner<'_>,
    threat: &Threat<'_>,
    class: usize,
    point: &[f32],
) -> Result<Witness, Refusal> {
    let distance = threat.distance(point).ok_or(Refusal::Outside)?;
    let (_, other) = lead(&runner.forward(point), class).ok_or(Refusal::Class)?;
    let spec = Spec::Margins { class: other };
    let mut bounds = Vec::new();
    runner
        .lower_bounds(
            &Region::ball(point, 0.0, Norm::Linf),
            &spec,
            &Options::new(Method::Ibp),
            &mut bounds,
        )
        .map_err(Refusal::Bounds)?;
    // Margins of `other` leave out its own row.
    let lead = bounds[class - usize::from(class > other)];
    if !lead.is_finite() {
        return Err(Refusal::Unsettled { lead: f32::NEG_INFINITY });
    }
    if !(lead >= 0.0) {
        return Err(Refusal::Unsettled { lead });
    }
    Ok(Witness { point: point.to_vec(), distance, class: other, lead })
}
