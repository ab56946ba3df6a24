//! The smallest distance at which an attack finds a witness: an upper bound of the true radius.

use super::deepfool::{CLASSES, DeepFool, seeds};
use super::descent::Descent;
use super::gradient::Gradient;
use super::lead::{lead, others};
use super::project::{length, onto};
use super::replay::{Witness, replay};
use super::segment::shrink;
use super::threat::{Place, Threat};
use crate::cpu::Runner;

/// DeepFool, then PGD at radii below the smallest distance found; each point found is drawn back
/// along its segment and slid along the boundary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearest {
    /// Radii that PGD tries.
    pub rounds: usize,
    /// PGD at one radius.
    pub descent: Descent,
    /// DeepFool.
    pub deepfool: DeepFool,
}

/// The first radius that PGD tries, as a share of the distance found.
const SHARE: f64 = 0.9;

/// Steps along the boundary for one point.
const SLIDES: usize = 12;

/// Shares of a step along the boundary that are tried, the last beyond its aim.
const SLIDE_SHARES: [f64; 6] = [1.0, 1.02, 1.1, 0.7, 0.4, 0.15];

impl Default for Nearest {
    fn default() -> Self {
        let descent = Descent { steps: 20, restarts: 5, ..Descent::PGD };
        Self { rounds: 6, descent, deepfool: DeepFool::default() }
    }
}

impl Nearest {
    /// The nearest witness found within `threat`, whose radius may be infinite.
    ///
    /// `hint`: a radius to begin at where DeepFool finds nothing, such as a certified one.
    pub fn run<G: Gradient>(
        &self,
        gradient: &mut G,
        runner: &mut Runner<'_>,
        threat: &Threat<'_>,
        class: usize,
        index: usize,
        hint: f64,
    ) -> Option<Witness> {
        let place = Place::new(threat);
        let point = self.deepfool.run(gradient, &place, threat.clip, class);
        let mut hunt = Hunt { gradient, runner, threat, place, class, best: None };
        hunt.take(&point);
        let descend = |hunt: &mut Hunt<'_, '_, G>, radius: f64| {
            let inner = Threat { epsilon: radius, ..*threat };
            let found = self.descent.run(hunt.gradient, hunt.runner, &inner, class, index);
            let Some(witness) = found.witness else { return false };
            hunt.offer(witness.clone());
            hunt.take(witness.point());
            true
        };
        if hunt.best.is_none() {
            let most = hunt.place.reach().min(threat.epsilon).min(1e12);
            let mut radius = if hint > 0.0 { 2.0 * hint } else { 1e-3 };
            while !descend(&mut hunt, radius.min(most)) && radius < most {
                radius *= 4.0;
            }
        }
        let mut share: f64 = SHARE;
        for _ in 0..self.rounds {
            let Some(best) = hunt.best.as_ref().map(Witness::distance).filter(|d| *d > 0.0) else {
                break;
            };
            if !descend(&mut hunt, share * best) {
                share = share.sqrt();
            }
        }
        hunt.best
    }
}

/// One sample's search.
struct Hunt<'a, 'm, G> {
    gradient: &'a mut G,
    runner: &'a mut Runner<'m>,
    threat: &'a Threat<'a>,
    place: Place,
    class: usize,
    best: Option<Witness>,
}

impl<G: Gradient> Hunt<'_, '_, G> {
    /// Draws `point` back to the boundary, slides it along, and replays where it comes to.
    fn take(&mut self, point: &[f32]) {
        let Some(mut point) = shrink(self.gradient, &self.place, self.class, point) else { return };
        self.try_replay(&point);
        for _ in 0..SLIDES {
            let Some(next) = self.slide(&point) else { break };
            point = next;
        }
        self.try_replay(&point);
    }

    fn try_replay(&mut self, point: &[f32]) {
        if let Ok(witness) = replay(self.runner, self.threat, self.class, point) {
            self.offer(witness);
        }
    }

    fn offer(&mut self, witness: Witness) {
        if self.best.as_ref().is_none_or(|best| witness.distance() < best.distance()) {
            self.best = Some(witness);
        }
    }

    /// From a point of the boundary towards the nearest point to the base of the boundary
    /// linearised there: one on the other side that is nearer to the base, drawn back.
    fn slide(&mut self, point: &[f32]) -> Option<Vec<f32>> {
        let (norm, n) = (self.place.norm(), point.len());
        let way = self.place.way(point);
        let now = length(&way, norm);
        let mut aims = self.aims(point, &way);
        aims.retain(|aim| length(aim, norm) < now * (1.0 - 1e-6));
        let mut points = vec![0.0; aims.len() * SLIDE_SHARES.len() * n];
        let tries = aims.iter().flat_map(|aim| SLIDE_SHARES.map(|share| (aim, share)));
        for ((aim, share), point) in tries.zip(points.chunks_exact_mut(n)) {
            // Beyond its aim a way is lengthened from the base, up to it taken from the point.
            let mut way: Vec<f64> = if share > 1.0 {
                aim.iter().map(|a| share * a).collect()
            } else {
                way.iter().zip(aim).map(|(w, a)| w + share * (a - w)).collect()
            };
            self.place.put(&mut way, point);
        }
        let outputs = self.gradient.outputs();
        let leads: Vec<bool> = self
            .gradient
            .forward(&points)
            .chunks_exact(outputs)
            .map(|y| lead(y, self.class).is_some_and(|(lead, _)| lead >= 0.0))
            .collect();
        let over = points.chunks_exact(n).zip(leads).filter(|(_, leads)| *leads);
        let over = over.map(|(point, _)| (length(&self.place.way(point), norm), point));
        let (_, next) = over.min_by(|a, b| a.0.total_cmp(&b.0))?;
        let next = shrink(self.gradient, &self.place, self.class, next)?;
        (length(&self.place.way(&next), norm) < now * (1.0 - 1e-6)).then_some(next)
    }

    /// Ways from the base to the nearest points of boundaries linearised at `point`: of the one
    /// that it stands at, and of the nearest.
    fn aims(&mut self, point: &[f32], way: &[f64]) -> Vec<Vec<f64>> {
        let (n, norm) = (point.len(), self.place.norm());
        let values = self.gradient.forward(point).to_vec();
        let mut classes = others(&values, self.class);
        classes.truncate(CLASSES);
        let seeds = seeds(&classes, self.class, values.len());
        let slopes = self.gradient.backward(&seeds, classes.len()).chunks_exact(n);
        let aims = classes.iter().zip(slopes).map(|(other, slope)| {
            let lead = f64::from(values[*other]) - f64::from(values[self.class]);
            let along: f64 = slope.iter().zip(way).map(|(s, w)| f64::from(*s) * w).sum();
            onto(slope, along - lead, &self.place.rooms, norm)
        });
        let mut aims: Vec<Option<Vec<f64>>> = aims.collect();
        let first = if aims.is_empty() { None } else { aims.remove(0) };
        let rest = aims.into_iter().flatten();
        let best = rest.min_by(|a, b| length(a, norm).total_cmp(&length(b, norm)));
        [first, best].into_iter().flatten().collect()
    }
}
