//! Where an attack may go: a ball around a sample, cut by a box, and its f32 points.

use certus_engine::region::Norm;

use super::distance::{distance_up, gap_up};
use super::project;

/// The points that an attack may use: `{x : ||x - center||_p <= epsilon}`, with every coordinate in
/// `[lo, hi]` where there is a box. Exact: nothing of it is rounded outward.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threat<'a> {
    /// The sample.
    pub center: &'a [f32],
    /// The radius; infinite where only the box limits.
    pub epsilon: f64,
    /// The ball's norm.
    pub norm: Norm,
    /// The box.
    pub clip: Option<(f32, f32)>,
}

/// Coordinates of attacks stay below this, which the engine asks of coordinates.
const LARGEST: f64 = (1u128 << 99) as f64;

impl Threat<'_> {
    /// Whether `x` is a point of it: an upper bound of its distance is at most `epsilon`. That
    /// distance, else `None`; NaN and infinities are outside.
    pub fn distance(&self, x: &[f32]) -> Option<f64> {
        if x.len() != self.center.len() || x.iter().any(|x| !x.is_finite()) {
            return None;
        }
        let outside = |(lo, hi)| x.iter().any(|x| !(*x >= lo && *x <= hi));
        if self.clip.is_some_and(outside) {
            return None;
        }
        let distance = distance_up(x, self.center, self.norm);
        (distance <= self.epsilon).then_some(distance)
    }
}

/// The way from a base point, in each direction of each coordinate, and the ball around it.
#[derive(Clone, Debug)]
pub struct Place {
    /// The centre, moved into the box where rounding left it outside.
    pub base: Vec<f32>,
    /// Way from the base to the lower and to the upper side of the box, `>= 0`.
    pub rooms: Vec<[f64; 2]>,
    norm: Norm,
    radius: f64,
}

impl Place {
    /// The points of `threat`.
    pub fn new(threat: &Threat<'_>) -> Self {
        let (lo, hi) = threat.clip.unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
        // `lo <= hi`, or no point of it is ever accepted.
        let base: Vec<f32> = threat.center.iter().map(|x| x.max(lo).min(hi)).collect();
        let moved = distance_up(&base, threat.center, threat.norm);
        let radius = match moved {
            0.0 => threat.epsilon,
            moved => (threat.epsilon - moved).next_down().max(0.0),
        };
        let rooms = rooms(&base, threat.clip);
        Self { base, rooms, norm: threat.norm, radius }
    }

    /// The norm.
    pub fn norm(&self) -> Norm {
        self.norm
    }

    /// The radius.
    pub fn radius(&self) -> f64 {
        self.radius
    }

    /// The largest distance of a point, infinite without a box.
    pub fn reach(&self) -> f64 {
        let far: Vec<f64> = self.rooms.iter().map(|[down, up]| down.max(*up)).collect();
        project::length(&far, self.norm)
    }

    /// Writes the f32 point nearest to `base + way` within the ball and the box into `point`.
    ///
    /// `way` becomes its projection. Each coordinate is rounded towards the base, so no distance
    /// grows; an entry of `way` that is not finite counts as 0.
    pub fn put(&self, way: &mut [f64], point: &mut [f32]) {
        for way in way.iter_mut() {
            *way = if way.is_finite() { way.clamp(-LARGEST, LARGEST) } else { 0.0 };
        }
        project::project(way, &self.rooms, self.norm, self.radius);
        for ((x, base), way) in point.iter_mut().zip(&self.base).zip(way) {
            *x = towards(*base, *way);
        }
    }

    /// The ways of the coordinates from the base to `point`.
    pub fn way(&self, point: &[f32]) -> Vec<f64> {
        point.iter().zip(&self.base).map(|(x, b)| f64::from(*x) - f64::from(*b)).collect()
    }
}

/// Way from `x` to both sides of the box.
pub(super) fn rooms(x: &[f32], clip: Option<(f32, f32)>) -> Vec<[f64; 2]> {
    let Some((lo, hi)) = clip else { return vec![[f64::INFINITY; 2]; x.len()] };
    let room = |x: &f32| {
        let x = f64::from(*x);
        [(x - f64::from(lo)).max(0.0), (f64::from(hi) - x).max(0.0)]
    };
    x.iter().map(room).collect()
}

/// The f32 nearest to `base + way` that is no further from `base`.
fn towards(base: f32, way: f64) -> f32 {
    let mut x = (f64::from(base) + way) as f32;
    while gap_up(x, base) > way.abs() {
        x = if x > base { x.next_down() } else { x.next_up() };
    }
    x
}
